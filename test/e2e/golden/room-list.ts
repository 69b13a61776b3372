import type { Session } from "../../support/room-life/api.ts";
import { countOf } from "../conformance/answer.ts";
import { roomListBody } from "./requests.ts";
import { RoomsSeen } from "./rooms-seen.ts";
import type { DecodedAnswer } from "./ruma-answer.ts";
import { SlidingSync } from "./sliding-sync.ts";

const FIRST_ROOMS = 20;
/** By how many rooms the list grows with each answer. */
const GROWTH = 100;
const LONG_POLL_MS = 30_000;
const NETWORK_MS = 30_000;

/** The SDK's `RoomListService`: one list that grows until it holds all rooms, and then waits for news. */
export class RoomListService extends SlidingSync {
  /** Rooms that the app shows. */
  subscriptions: readonly string[] = [];
  /** What the app has been told. */
  readonly seen = new RoomsSeen();
  readonly #hasAllExtensions: boolean;
  #answers = 0;
  #count: number | undefined;
  /** Rooms that the list has grown to. */
  #grown = 0;

  constructor(url: string, session: Session, options: { readonly hasAllExtensions?: boolean } = {}) {
    super(url, session, LONG_POLL_MS + NETWORK_MS);
    this.#hasAllExtensions = options.hasAllExtensions ?? false;
  }

  /** The last room that the next request asks for. */
  get end(): number {
    if (this.#answers === 0) return FIRST_ROOMS - 1;
    const wanted = this.#grown + GROWTH;
    return Math.max(0, Math.min(wanted, this.#count ?? wanted) - 1);
  }

  /** Whether the next request waits for news: not before the second answer, and not while rooms are missing. */
  get isWaiting(): boolean {
    return this.#answers > 1 && this.#grown >= (this.#count ?? 0);
  }

  protected override next() {
    const { end, subscriptions } = this;
    const body = roomListBody({ end, subscriptions, hasAllExtensions: this.#hasAllExtensions });
    return { timeoutMs: this.isWaiting ? LONG_POLL_MS : 0, body };
  }

  override adopt(answer: DecodedAnswer): void {
    const count = countOf(answer, "all_rooms");
    // Without it the list of the SDK would ask again and again, and never wait.
    if (count === undefined) throw new Error(`no count of all_rooms in ${JSON.stringify(answer)}`);
    if (this.#answers > 0) this.#grown = Math.min(this.end + 1, count);
    this.#answers += 1;
    this.#count = count;
    this.seen.add(answer);
    super.adopt(answer);
  }

  /** Asks until the list holds all rooms. */
  async grow(url?: string): Promise<void> {
    while (!this.isWaiting) await this.sync(url);
  }
}
