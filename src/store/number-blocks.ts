import { invariant } from "../lib/invariant.ts";
import type { Queryable } from "./database.ts";

/** What one call of the sequence reserves; its INCREMENT in the migrations. */
const BLOCK_SIZE = 1000;

export type NumberKind = "batch_ids" | "event_nids" | "chunk_nids";

const RESERVE = `SELECT nextval($1::regclass) AS first FROM generate_series(1, $2)`;

/**
 * Hands out numbers of one kind from blocks that the database reserved. A number is never given twice; numbers of a
 * transaction that failed, or of a process that ended, are lost.
 */
export class NumberBlocks {
  readonly #db: Queryable;
  readonly #kind: NumberKind;
  #blocks: { next: number; end: number }[] = [];

  constructor(db: Queryable, kind: NumberKind) {
    this.#db = db;
    this.#kind = kind;
  }

  /** Makes sure that {@link take} can be called `count` times. */
  async ensure(count: number): Promise<void> {
    const have = this.#blocks.reduce((sum, { next, end }) => sum + end - next, 0);
    if (have >= count) return;
    const wanted = Math.ceil((count - have) / BLOCK_SIZE);
    const rows = await this.#db.query<{ first: number }>({
      name: "reserve-numbers",
      text: RESERVE,
      values: [this.#kind, wanted],
    });
    this.#blocks.push(...rows.map(({ first }) => ({ next: first, end: first + BLOCK_SIZE })));
  }

  take(): number {
    while (this.#blocks.length > 1 && this.#blocks[0]?.next === this.#blocks[0]?.end) this.#blocks.shift();
    const block = this.#blocks[0];
    invariant(block !== undefined && block.next < block.end, "numbers are reserved before they are taken");
    block.next += 1;
    return block.next - 1;
  }
}
