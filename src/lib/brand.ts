declare const brand: unique symbol;

/** A `Base` that was checked once and cannot be mixed up with other values of the same base type. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
