/** A fault on purpose: one replacement in one file, which the named test has to notice. */
export interface Mutant {
  /** What is wrong with the program that it makes. */
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Exact text that occurs once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Path of the jest test that must fail, from the root of the repository. */
  readonly test: string;
}
