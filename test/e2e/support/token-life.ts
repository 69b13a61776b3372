// A device whose access tokens live for two seconds, with two connections, as an app has them.
import { setTimeout as pause } from "node:timers/promises";
import { ApiError, type JsonObject, Session } from "../../support/room-life/api.ts";

const POLL_MS = 10_000;
const RETRY_MS = 50;
const SAY_EVERY_MS = 250;

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
}

interface Login extends Tokens {
  readonly user_id: string;
  readonly device_id: string;
}

interface Answer {
  readonly pos: string;
  readonly rooms?: Readonly<Record<string, { readonly timeline?: readonly { readonly event_id: string }[] }>>;
  readonly extensions: {
    readonly to_device?: { readonly next_batch: string; readonly events: readonly { content: { n: number } }[] };
  };
}

export class ShortLivedDevice {
  readonly events: string[] = [];
  readonly numbers: number[] = [];
  /** How often it got new tokens. */
  renewals = 0;
  /** What was refused for another reason than a token that has expired. */
  readonly complaints: string[] = [];
  readonly #homeserverUrl: string;
  readonly #slidecarUrl: string;
  readonly #login: Login;
  #tokens: Tokens;
  #renewing: Promise<void> | undefined;
  #since: string | undefined;

  static async register(homeserverUrl: string, slidecarUrl: string, user: string): Promise<ShortLivedDevice> {
    const body = { username: user, password: "correct horse", auth: { type: "m.login.dummy" }, refresh_token: true };
    const login = await post<Login>(homeserverUrl, "v3/register", body);
    return new ShortLivedDevice(homeserverUrl, slidecarUrl, login);
  }

  private constructor(homeserverUrl: string, slidecarUrl: string, login: Login) {
    [this.#homeserverUrl, this.#slidecarUrl] = [homeserverUrl, slidecarUrl];
    [this.#login, this.#tokens] = [login, login];
  }

  get userId(): string {
    return this.#login.user_id;
  }

  get deviceId(): string {
    return this.#login.device_id;
  }

  /** A call to the homeserver. */
  async act(method: string, path: string, body: JsonObject = {}): Promise<void> {
    await this.#call(this.#homeserverUrl, method, path, body);
  }

  /** The connection of the room list. */
  async follow(signal: AbortSignal): Promise<void> {
    const list = { ranges: [[0, 19]], timeline_limit: 20, required_state: [] };
    await this.#run({ conn_id: "room-list", lists: { all: list } }, signal, ({ rooms = {} }) => {
      for (const { timeline = [] } of Object.values(rooms))
        this.events.push(...timeline.map((event) => event.event_id));
    });
  }

  /** The connection of encryption. */
  async receive(signal: AbortSignal): Promise<void> {
    const body = () => {
      const toDevice = { enabled: true, ...(this.#since !== undefined && { since: this.#since }) };
      return { conn_id: "encryption", extensions: { to_device: toDevice, e2ee: { enabled: true } } };
    };
    await this.#run(body, signal, ({ extensions: { to_device: toDevice } }) => {
      this.#since = toDevice?.next_batch;
      for (const { content } of toDevice?.events ?? []) this.numbers.push(content.n);
    });
  }

  /** Asks on without renewing its token; what it is told in the end. */
  async refusal(): Promise<JsonObject> {
    const session = this.#session(this.#slidecarUrl);
    for (;;) {
      const answer = await fetch(`${this.#slidecarUrl}/_matrix/client/${syncPath(undefined, 0)}`, {
        method: "POST",
        headers: { authorization: `Bearer ${session.accessToken}`, "content-type": "application/json" },
        body: JSON.stringify({ conn_id: "encryption", extensions: { e2ee: { enabled: true } } }),
      });
      const json = (await answer.json()) as JsonObject;
      if (answer.status !== 200) return { status: answer.status, ...json };
      await pause(SAY_EVERY_MS);
    }
  }

  async #run(
    body: JsonObject | (() => JsonObject),
    signal: AbortSignal,
    take: (answer: Answer) => void,
  ): Promise<void> {
    let pos: string | undefined;
    while (!signal.aborted) {
      try {
        const asked = typeof body === "function" ? body() : body;
        const answer = await this.#call<Answer>(this.#slidecarUrl, "POST", syncPath(pos, POLL_MS), asked);
        pos = answer.pos;
        take(answer);
      } catch (error) {
        this.complaints.push(String(error));
        await pause(RETRY_MS);
      }
    }
  }

  async #call<T>(url: string, method: string, path: string, body: JsonObject): Promise<T> {
    for (;;) {
      const session = this.#session(url);
      try {
        return await session.call<T>(method, path, body);
      } catch (error) {
        if (!(error instanceof ApiError && error.errcode === "M_UNKNOWN_TOKEN")) throw error;
        if (session.accessToken === this.#tokens.access_token) await this.#renew();
      }
    }
  }

  #session(url: string): Session {
    const { user_id, device_id } = this.#login;
    return new Session(url, { user_id, device_id, access_token: this.#tokens.access_token });
  }

  /** Both connections share it. */
  #renew(): Promise<void> {
    const renew = async () => {
      const { refresh_token } = this.#tokens;
      this.#tokens = await post<Tokens>(this.#homeserverUrl, "v3/refresh", { refresh_token });
      this.renewals += 1;
    };
    this.#renewing ??= renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }
}

const syncPath = (pos: string | undefined, timeoutMs: number): string =>
  `unstable/org.matrix.simplified_msc3575/sync?${new URLSearchParams({ timeout: String(timeoutMs), ...(pos !== undefined && { pos }) })}`;

async function post<T>(url: string, path: string, body: JsonObject): Promise<T> {
  const answer = await fetch(`${url}/_matrix/client/${path}`, { method: "POST", body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new ApiError(`POST ${path}`, answer.status, text);
  return JSON.parse(text) as T;
}

export interface TokenLife {
  readonly seconds: number;
  readonly sent: { readonly events: readonly string[]; readonly numbers: readonly number[] };
  readonly device: ShortLivedDevice;
}

/** Somebody writes to the device all the while, in a room and to it alone; resolves when it has what was sent last. */
export async function liveWithShortTokens(options: {
  readonly device: ShortLivedDevice;
  readonly friend: Session;
  readonly roomId: string;
  readonly seconds: number;
  readonly untilSeen: (isSeen: () => boolean) => Promise<void>;
}): Promise<TokenLife> {
  const { device, friend, roomId, seconds, untilSeen } = options;
  const end = new AbortController();
  const connections = [device.follow(end.signal), device.receive(end.signal)];
  const events: string[] = [];
  const numbers: number[] = [];
  try {
    const endMs = performance.now() + seconds * 1_000;
    while (performance.now() < endMs) {
      const n = numbers.length + 1;
      events.push(await friend.sendText(roomId, `message ${n}`));
      await friend.sendToDevice("m.test", { [device.userId]: { [device.deviceId]: { n } } });
      numbers.push(n);
      await pause(SAY_EVERY_MS);
    }
    await untilSeen(() => device.events.includes(events.at(-1) ?? "") && device.numbers.includes(numbers.length));
  } finally {
    end.abort();
    await Promise.all(connections);
  }
  return { seconds, sent: { events, numbers }, device };
}
