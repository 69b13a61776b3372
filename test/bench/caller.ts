import { type Answer, parseSync, patientSyncWith, type SyncBody, type SyncTo } from "./sync-client.ts";

/** What a client asks for, after the last answer that it has. */
type BodyAfter = (last: SyncBody | undefined) => object;

/** One device that goes on from answer to answer. */
export class Caller {
  readonly #to: SyncTo;
  readonly #bodyAfter: BodyAfter;
  #last: SyncBody | undefined;

  private constructor(to: SyncTo, bodyAfter: BodyAfter) {
    this.#to = to;
    this.#bodyAfter = bodyAfter;
  }

  /** Makes the first request, and the second, which confirms the first answer. */
  static async start(to: SyncTo, bodyAfter: BodyAfter): Promise<Caller> {
    const caller = new Caller(to, bodyAfter);
    await caller.again();
    await caller.again();
    return caller;
  }

  async again(): Promise<Answer> {
    const pos = this.#last === undefined ? {} : { pos: this.#last.pos };
    const answer = await patientSyncWith({ ...this.#to, ...pos }, this.#bodyAfter(this.#last));
    this.#last = parseSync(answer);
    return answer;
  }
}
