import type { JsonObject } from "./json.ts";

/** An answer other than 200. */
export class ResponseError extends Error {
  override readonly name = "ResponseError";
  readonly status: number;
  readonly body: JsonObject;

  constructor(status: number, body: JsonObject, what: string) {
    super(`${what}: ${status} ${JSON.stringify(body)}`);
    this.status = status;
    this.body = body;
  }

  get errcode(): unknown {
    return this.body.errcode;
  }
}

export interface ClientEvent {
  readonly type: string;
  readonly event_id: string;
  readonly sender: string;
  readonly content: JsonObject;
  readonly state_key?: string;
  readonly origin_server_ts: number;
  readonly unsigned?: JsonObject;
  readonly redacts?: string;
}

export interface SyncedRoom {
  readonly timeline: { readonly events: ClientEvent[]; readonly limited: boolean; readonly prev_batch: string };
  readonly state: { readonly events: ClientEvent[] };
  readonly "org.matrix.msc4222.state_after"?: { readonly events: ClientEvent[] };
  readonly account_data: { readonly events: { readonly type: string; readonly content: JsonObject }[] };
  readonly ephemeral: { readonly events: { readonly type: string; readonly content: JsonObject }[] };
  readonly summary: JsonObject;
  readonly unread_notifications: { readonly notification_count: number; readonly highlight_count: number };
  readonly unread_thread_notifications?: Record<string, { notification_count: number; highlight_count: number }>;
}

export interface SyncBody {
  readonly next_batch: string;
  readonly rooms?: {
    readonly join?: Record<string, SyncedRoom>;
    readonly invite?: Record<string, { readonly invite_state: { readonly events: ClientEvent[] } }>;
    readonly knock?: Record<string, { readonly knock_state: { readonly events: ClientEvent[] } }>;
    readonly leave?: Record<string, SyncedRoom>;
  };
  readonly account_data?: { readonly events: { readonly type: string; readonly content: JsonObject }[] };
  readonly to_device?: {
    readonly events: { readonly type: string; readonly sender: string; readonly content: JsonObject }[];
  };
  readonly device_lists?: { readonly changed?: string[]; readonly left?: string[] };
  readonly device_one_time_keys_count: Record<string, number>;
  readonly device_unused_fallback_key_types: string[];
}

export interface SyncQuery {
  readonly since?: string | undefined;
  readonly timeout?: number;
  /** An object is sent as inline JSON, a text as the id of a stored filter. */
  readonly filter?: JsonObject | string;
  readonly full_state?: boolean;
  /** MSC4222, by its unstable name. */
  readonly useStateAfter?: boolean;
}

export interface Page {
  readonly chunk: ClientEvent[];
  readonly start: string;
  readonly end?: string;
  readonly state?: ClientEvent[];
}

const CLIENT = "/_matrix/client/v3";
const part = encodeURIComponent;

/** Sends JSON and reads JSON; throws {@link ResponseError} unless the answer is 200. */
export async function request(
  url: string,
  method: string,
  body?: unknown,
  token?: string,
  signal?: AbortSignal,
): Promise<JsonObject> {
  const response = await fetch(url, {
    method,
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  const json = (await response.json()) as JsonObject;
  if (response.status !== 200) throw new ResponseError(response.status, json, `${method} ${url}`);
  return json;
}

export interface Login {
  readonly userId: string;
  readonly deviceId: string;
  readonly token: string;
}

/** Registers or logs in; works against any homeserver that lets anybody register. */
export async function logIn(
  base: string,
  localpart: string,
  deviceId?: string,
  how: "register" | "login" = "register",
): Promise<Robot> {
  const device = deviceId === undefined ? {} : { device_id: deviceId };
  const body =
    how === "register"
      ? { username: localpart, password: localpart, auth: { type: "m.login.dummy" }, ...device }
      : {
          type: "m.login.password",
          identifier: { type: "m.id.user", user: localpart },
          password: localpart,
          ...device,
        };
  const answer = await request(`${base}${CLIENT}/${how}`, "POST", body);
  const [userId, id, token] = [answer.user_id, answer.device_id, answer.access_token].map(String) as [
    string,
    string,
    string,
  ];
  return new Robot(base, { userId, deviceId: id, token });
}

/** A user at a device, who acts over the Client-Server API. */
export class Robot {
  readonly base: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly token: string;
  #sent = 0;

  constructor(base: string, { userId, deviceId, token }: Login) {
    this.base = base;
    this.userId = userId;
    this.deviceId = deviceId;
    this.token = token;
  }

  /** Any other request; the path is that after `/_matrix/client/v3`. */
  call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<JsonObject> {
    return request(`${this.base}${CLIENT}${path}`, method, body, this.token, signal);
  }

  async sync(query: SyncQuery = {}, signal?: AbortSignal): Promise<SyncBody> {
    const params = new URLSearchParams();
    if (query.since !== undefined) params.set("since", query.since);
    if (query.timeout !== undefined) params.set("timeout", String(query.timeout));
    if (query.full_state !== undefined) params.set("full_state", String(query.full_state));
    if (query.useStateAfter === true) params.set("org.matrix.msc4222.use_state_after", "true");
    if (typeof query.filter === "string") params.set("filter", query.filter);
    else if (query.filter !== undefined) params.set("filter", JSON.stringify(query.filter));
    return (await this.call("GET", `/sync?${params}`, undefined, signal)) as unknown as SyncBody;
  }

  async createRoom(options: JsonObject = {}): Promise<string> {
    return String((await this.call("POST", "/createRoom", options)).room_id);
  }

  async invite(roomId: string, userId: string): Promise<void> {
    await this.call("POST", `/rooms/${part(roomId)}/invite`, { user_id: userId });
  }

  async join(roomId: string): Promise<void> {
    await this.call("POST", `/join/${part(roomId)}`, {});
  }

  async leave(roomId: string): Promise<void> {
    await this.call("POST", `/rooms/${part(roomId)}/leave`, {});
  }

  async forget(roomId: string): Promise<void> {
    await this.call("POST", `/rooms/${part(roomId)}/forget`, {});
  }

  async kick(roomId: string, userId: string, reason?: string): Promise<void> {
    await this.call("POST", `/rooms/${part(roomId)}/kick`, { user_id: userId, reason });
  }

  async ban(roomId: string, userId: string, reason?: string): Promise<void> {
    await this.call("POST", `/rooms/${part(roomId)}/ban`, { user_id: userId, reason });
  }

  async unban(roomId: string, userId: string): Promise<void> {
    await this.call("POST", `/rooms/${part(roomId)}/unban`, { user_id: userId });
  }

  async knock(roomId: string): Promise<void> {
    await this.call("POST", `/knock/${part(roomId)}`, {});
  }

  /** A text message, or an event of any type and content. Returns the event id. */
  async send(
    roomId: string,
    content: string | JsonObject,
    type = "m.room.message",
    txnId = this.#txnId(),
  ): Promise<string> {
    const body = typeof content === "string" ? { msgtype: "m.text", body: content } : content;
    return this.#eventId("PUT", `/rooms/${part(roomId)}/send/${part(type)}/${part(txnId)}`, body);
  }

  async setState(roomId: string, type: string, content: JsonObject, stateKey = ""): Promise<string> {
    return this.#eventId("PUT", `/rooms/${part(roomId)}/state/${part(type)}/${part(stateKey)}`, content);
  }

  async redact(roomId: string, eventId: string, reason?: string): Promise<string> {
    return this.#eventId("PUT", `/rooms/${part(roomId)}/redact/${part(eventId)}/${this.#txnId()}`, { reason });
  }

  async setDisplayName(displayname: string): Promise<void> {
    await this.call("PUT", `/profile/${part(this.userId)}/displayname`, { displayname });
  }

  async accountData(type: string, content: JsonObject): Promise<void> {
    await this.call("PUT", `/user/${part(this.userId)}/account_data/${part(type)}`, content);
  }

  async roomAccountData(roomId: string, type: string, content: JsonObject): Promise<void> {
    await this.call("PUT", `/user/${part(this.userId)}/rooms/${part(roomId)}/account_data/${part(type)}`, content);
  }

  async tag(roomId: string, tag: string, content: JsonObject = {}): Promise<void> {
    await this.call("PUT", `/user/${part(this.userId)}/rooms/${part(roomId)}/tags/${part(tag)}`, content);
  }

  async untag(roomId: string, tag: string): Promise<void> {
    await this.call("DELETE", `/user/${part(this.userId)}/rooms/${part(roomId)}/tags/${part(tag)}`);
  }

  async receipt(roomId: string, eventId: string, type = "m.read", threadId?: string): Promise<void> {
    const body = threadId === undefined ? {} : { thread_id: threadId };
    await this.call("POST", `/rooms/${part(roomId)}/receipt/${type}/${part(eventId)}`, body);
  }

  async typing(roomId: string, isTyping = true, timeoutMs = 30_000): Promise<void> {
    const body = isTyping ? { typing: true, timeout: timeoutMs } : { typing: false };
    await this.call("PUT", `/rooms/${part(roomId)}/typing/${part(this.userId)}`, body);
  }

  /** To one device, or to all of a user with `*`. */
  async sendToDevice(userId: string, deviceId: string, content: JsonObject, type = "m.test"): Promise<void> {
    const messages = { [userId]: { [deviceId]: content } };
    await this.call("PUT", `/sendToDevice/${part(type)}/${this.#txnId()}`, { messages });
  }

  /** Made-up device keys, so many further one-time keys and, if wanted, a new fallback key. Returns the counts. */
  async uploadKeys(keys: { oneTimeKeys?: number; hasFallback?: boolean } = {}): Promise<JsonObject> {
    const algorithm = "signed_curve25519";
    const key = () => ({ key: this.#txnId(), signatures: {} });
    const oneTimeKeys = Array.from({ length: keys.oneTimeKeys ?? 0 }, () => [`${algorithm}:${this.#txnId()}`, key()]);
    const fallback = { [`${algorithm}:${this.#txnId()}`]: { ...key(), fallback: true } };
    const answer = await this.call("POST", "/keys/upload", {
      device_keys: {
        user_id: this.userId,
        device_id: this.deviceId,
        algorithms: ["m.olm.v1.curve25519-aes-sha2"],
        keys: { [`ed25519:${this.deviceId}`]: `key of ${this.deviceId}` },
        signatures: {},
      },
      one_time_keys: Object.fromEntries(oneTimeKeys),
      ...(keys.hasFallback === true ? { fallback_keys: fallback } : {}),
    });
    return answer.one_time_key_counts as JsonObject;
  }

  async claimKey(userId: string, deviceId: string): Promise<void> {
    await this.call("POST", "/keys/claim", { one_time_keys: { [userId]: { [deviceId]: "signed_curve25519" } } });
  }

  async messages(roomId: string, query: Record<string, string> = {}): Promise<Page> {
    const params = new URLSearchParams({ dir: "b", ...query });
    return (await this.call("GET", `/rooms/${part(roomId)}/messages?${params}`)) as unknown as Page;
  }

  async state(roomId: string): Promise<ClientEvent[]> {
    return (await this.call("GET", `/rooms/${part(roomId)}/state`)) as unknown as ClientEvent[];
  }

  async #eventId(method: string, path: string, body: JsonObject): Promise<string> {
    return String((await this.call(method, path, body)).event_id);
  }

  #txnId(): string {
    this.#sent += 1;
    return `robot${this.#sent}`;
  }
}
