import fc from "fast-check";

/** One thing that happens to a subject, with words for the report of a failure. */
export class Step<Subject> {
  readonly #words: readonly unknown[];
  readonly take: (subject: Subject) => void;

  constructor(take: (subject: Subject) => void, ...words: readonly unknown[]) {
    this.#words = words;
    this.take = take;
  }

  [fc.toStringMethod](): string {
    return this.#words.map((word) => (typeof word === "string" ? word : JSON.stringify(word))).join(" ");
  }
}
