// A sync client over HTTP that asks when it is told to, and shows what it is answered as it came.
import type { Login } from "./homeserver/robot.ts";

const SYNC_PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/** One room of an answer, as far as tests look at it. */
export interface RoomJson {
  readonly initial?: boolean;
  readonly membership?: string;
  readonly timeline?: readonly { readonly event_id: string }[];
  readonly required_state?: readonly { readonly type: string; readonly content: { readonly membership?: string } }[];
  readonly invite_state?: readonly unknown[];
  readonly notification_count?: number;
  readonly highlight_count?: number;
}

export interface AnswerJson {
  readonly pos: string;
  readonly lists: { readonly all: { readonly count: number } };
  readonly rooms: Readonly<Record<string, RoomJson>>;
}

/** A connection of a device, with one list of all rooms. */
export class HttpClient {
  readonly #url: string;
  readonly #token: string;
  readonly #connId: string;
  #pos: string | undefined;

  constructor(url: string, { token }: Pick<Login, "token">, connId = "main") {
    this.#url = url;
    this.#token = token;
    this.#connId = connId;
  }

  /** The next answer; with a timeout one that waits for news. */
  async sync(timeoutMs = 0): Promise<AnswerJson> {
    const query = new URLSearchParams({
      timeout: String(timeoutMs),
      ...(this.#pos !== undefined && { pos: this.#pos }),
    });
    const list = { ranges: [[0, 99]], timeline_limit: 10, required_state: [["m.room.member", "$LAZY"]] };
    const answer = await this.#call("POST", `${SYNC_PATH}?${query}`, { conn_id: this.#connId, lists: { all: list } });
    const json = { rooms: {}, ...answer } as AnswerJson;
    this.#pos = json.pos;
    return json;
  }

  /** Syncs until an answer is as wanted; that answer. The test's own time limit ends it. */
  async until(isWanted: (answer: AnswerJson) => boolean): Promise<AnswerJson> {
    for (;;) {
      const answer = await this.sync(1_000);
      if (isWanted(answer)) return answer;
    }
  }

  /** A request that is passed on to the homeserver; `path` comes after `/_matrix/client/v3`. */
  async pass(method: string, path: string, body: object = {}): Promise<unknown> {
    return await this.#call(method, `/_matrix/client/v3${path}`, body);
  }

  async #call(method: string, path: string, body: object): Promise<object> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const json = (await response.json()) as object;
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${JSON.stringify(json)}`);
    return json;
  }
}
