// A sync client that keeps what only its device is told, as the SDKs' second connection does, and now and then loses an answer.
import { setTimeout as pause } from "node:timers/promises";
import type { Random } from "../homeserver/random.ts";
import { unequal } from "./unequal.ts";

const SYNC_PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
const POLL_MS = 30_000;
/** Wait after an answer that did not come. */
const RETRY_MS = 25;
const LOST_SHARE = 0.25;
/** So far above all that was issued is a token of a database that was replaced by an older one. */
const AHEAD_US = 20_000_000;

/** Public keys of users' devices as JSON, as the homeserver has them now. */
export type QueryKeys = (users: readonly string[]) => Promise<ReadonlyMap<string, string>>;

interface AnswerJson {
  readonly pos: string;
  readonly extensions: {
    readonly to_device: { readonly next_batch: string; readonly events: readonly { content: { n: number } }[] };
    readonly e2ee: {
      readonly device_lists?: { readonly changed: readonly string[]; readonly left: readonly string[] };
    };
  };
}

export interface EncryptionClientOptions {
  readonly url: string;
  readonly token: string;
  /** Whose devices it has to know. */
  readonly users: readonly string[];
  readonly queryKeys: QueryKeys;
  readonly random: Random;
}

export class EncryptionClient implements AsyncDisposable {
  /** What no server may tell. */
  readonly complaints: string[] = [];
  /** How often it had to begin anew. */
  restarts = 0;
  /** Messages that came again though the server had been told that they are here. */
  repeats = 0;
  readonly #options: EncryptionClientOptions;
  readonly #keys = new Map<string, string>();
  readonly #end = new AbortController();
  readonly #running: Promise<void>;
  #random: Random;
  #pos: string | undefined;
  #since: string | undefined;
  /** Messages are numbered from 1 on: it has all up to this one. */
  #taken = 0;
  /** The server was told that it has all up to this one. */
  #acknowledged = 0;
  #isAheadNext = false;
  /** Its token says nothing of this database: all that is left comes. */
  #isAhead = false;

  constructor(options: EncryptionClientOptions) {
    this.#options = options;
    this.#random = options.random;
    this.#running = this.#run();
  }

  /** Of these the server may have removed all. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Which answers are lost from now on. */
  useRandom(random: Random): void {
    this.#random = random;
  }

  /** Loses the next answer that brings messages, and has a token from then on that this database never issued. */
  getAhead(): void {
    this.#isAheadNext = true;
  }

  /** In what it has something else than was sent to it, and than the homeserver says; empty: in nothing. */
  async differences(sent: number): Promise<string[]> {
    const { users, queryKeys } = this.#options;
    return [
      ...unequal("complaints of the encrypting client", [], this.complaints),
      ...unequal("to-device messages that the client has", sent, this.#taken),
      ...unequal("keys that the client has", sorted(await queryKeys(users)), sorted(this.#keys)),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        await this.#turn(signal);
      } catch (error) {
        if (signal.aborted) return;
        // A connection that was refused or broke off. By name: under jest fetch throws what was made outside of it.
        const { name, message } = error as Error;
        if (name !== "TypeError") this.complaints.push(`${name}: ${message}`);
        await pause(RETRY_MS);
      }
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const query = new URLSearchParams({ timeout: String(POLL_MS), ...(this.#pos !== undefined && { pos: this.#pos }) });
    const toDevice = { enabled: true, limit: 100, ...(this.#since !== undefined && { since: this.#since }) };
    if (!this.#isAhead) this.#acknowledged = this.#taken;
    const response = await fetch(`${this.#options.url}${SYNC_PATH}?${query}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.#options.token}`, "content-type": "application/json" },
      body: JSON.stringify({ conn_id: "encryption", extensions: { to_device: toDevice, e2ee: { enabled: true } } }),
      signal,
    });
    const json = (await response.json()) as AnswerJson & { errcode?: string; retry_after_ms?: number };
    if (response.status === 200) return await this.#answered(json);
    if (json.errcode === "M_UNKNOWN_POS") {
      this.restarts += 1;
      this.#pos = undefined;
    } else if (response.status === 429 || response.status >= 500) await pause(json.retry_after_ms ?? RETRY_MS);
    else this.complaints.push(`an answer of ${response.status}: ${JSON.stringify(json)}`);
  }

  async #answered(answer: AnswerJson): Promise<void> {
    const numbers = answer.extensions.to_device.events.map(({ content }) => content.n);
    this.#check(numbers);
    if (this.#isAheadNext && numbers.length > 0) {
      this.#isAheadNext = false;
      this.#isAhead = true;
      this.#since = `-${Math.max(Date.now() * 1_000, Number((this.#since ?? "-0").slice(1))) + AHEAD_US}`;
    } else if (!this.#random.chance(LOST_SHARE)) await this.#take(answer, numbers);
  }

  /** Also of an answer that is lost. */
  #check(numbers: readonly number[]): void {
    const [first = this.#taken + 1] = numbers;
    const isNext = this.#isAhead ? first <= this.#taken + 1 : first === this.#taken + 1;
    if (!isNext || numbers.some((n, index) => n !== first + index))
      this.complaints.push(`after message ${this.#taken} came ${numbers}`);
    this.repeats += numbers.filter((n) => n <= this.#acknowledged).length;
  }

  async #take({ pos, extensions }: AnswerJson, numbers: readonly number[]): Promise<void> {
    const { users, queryKeys } = this.#options;
    const { changed, left } = extensions.e2ee.device_lists ?? {
      changed: this.#pos === undefined ? users : [],
      left: [],
    };
    for (const user of left) this.#keys.delete(user);
    const asked = changed.filter((user) => users.includes(user));
    if (asked.length > 0) for (const [user, keys] of await queryKeys(asked)) this.#keys.set(user, keys);
    this.#pos = pos;
    this.#since = extensions.to_device.next_batch;
    this.#taken = Math.max(this.#taken, numbers.at(-1) ?? 0);
    this.#isAhead = false;
  }
}

const sorted = (keys: ReadonlyMap<string, string>) => [...keys].sort(([a], [b]) => (a < b ? -1 : 1));
