/** A claim about our own code did not hold: a bug of ours, never a fault of input or network. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/** Throws {@link InvariantError} unless `holds`. Not for input, which is parsed, nor for the network, which fails. */
export function invariant(holds: boolean, claim: string): asserts holds {
  if (!holds) throw new InvariantError(claim);
}
