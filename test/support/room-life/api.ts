// A small client of the Client-Server API: one session, plain calls. It knows no SDK and nothing of the program under test.

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };
export type JsonObject = { readonly [key: string]: Json | undefined };

/** An answer with a status other than 2xx. */
export class ApiError extends Error {
  readonly status: number;
  readonly errcode: string | undefined;
  constructor(call: string, status: number, body: string) {
    super(`${call} was answered ${status}: ${body}`);
    this.status = status;
    this.errcode = /"errcode"\s*:\s*"([^"]*)"/.exec(body)?.[1];
  }
}

/** One logged-in device. */
export class Session {
  readonly baseUrl: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly accessToken: string;
  #transactions = 0;

  constructor(baseUrl: string, login: { user_id: string; device_id: string; access_token: string }) {
    this.baseUrl = baseUrl;
    this.userId = login.user_id;
    this.deviceId = login.device_id;
    this.accessToken = login.access_token;
  }

  /** The same device at another address of its homeserver. */
  at(baseUrl: string): Session {
    const login = { user_id: this.userId, device_id: this.deviceId, access_token: this.accessToken };
    return new Session(baseUrl, login);
  }

  /** `path` follows `/_matrix/client/`; throws an `ApiError` unless the answer is 2xx. */
  async call<T = unknown>(method: string, path: string, body?: JsonObject): Promise<T> {
    return request<T>(this.baseUrl, method, path, body, this.accessToken);
  }

  /** The same user on another device. */
  async loginAgain(password: string, deviceId: string): Promise<Session> {
    const identifier = { type: "m.id.user", user: this.userId };
    const body = { type: "m.login.password", identifier, password, device_id: deviceId };
    return new Session(this.baseUrl, await request(this.baseUrl, "POST", "v3/login", body));
  }

  /** A transaction id that this session has not used before. */
  nextTransaction(): string {
    this.#transactions += 1;
    return `t${this.#transactions}`;
  }

  async createRoom(body: JsonObject): Promise<string> {
    return (await this.call<{ room_id: string }>("POST", "v3/createRoom", body)).room_id;
  }

  /** Sends a message-like event and returns its id. */
  async send(roomId: string, type: string, content: JsonObject): Promise<string> {
    const path = `v3/rooms/${roomPath(roomId)}/send/${type}/${this.nextTransaction()}`;
    return (await this.call<{ event_id: string }>("PUT", path, content)).event_id;
  }

  async sendText(roomId: string, text: string): Promise<string> {
    return this.send(roomId, "m.room.message", { msgtype: "m.text", body: text });
  }

  async setState(roomId: string, type: string, content: JsonObject, stateKey = ""): Promise<string> {
    const path = `v3/rooms/${roomPath(roomId)}/state/${type}/${encodeURIComponent(stateKey)}`;
    return (await this.call<{ event_id: string }>("PUT", path, content)).event_id;
  }

  async redact(roomId: string, eventId: string, reason: string): Promise<string> {
    const path = `v3/rooms/${roomPath(roomId)}/redact/${encodeURIComponent(eventId)}/${this.nextTransaction()}`;
    return (await this.call<{ event_id: string }>("PUT", path, { reason })).event_id;
  }

  async setAccountData(type: string, content: JsonObject, roomId?: string): Promise<void> {
    const room = roomId === undefined ? "" : `/rooms/${roomPath(roomId)}`;
    await this.call("PUT", `v3/user/${encodeURIComponent(this.userId)}${room}/account_data/${type}`, content);
  }

  async sendToDevice(type: string, messages: JsonObject): Promise<void> {
    await this.call("PUT", `v3/sendToDevice/${type}/${this.nextTransaction()}`, { messages });
  }

  /** `join`, `leave`, `invite`, `kick`, `ban`, `unban`, `forget`, `receipt/…`, whatever stands below `/rooms/{id}/`. */
  async inRoom<T = unknown>(method: string, roomId: string, action: string, body: JsonObject = {}): Promise<T> {
    return this.call<T>(method, `v3/rooms/${roomPath(roomId)}/${action}`, body);
  }
}

const roomPath = (roomId: string): string => encodeURIComponent(roomId);

/** Creates the account and its first device. */
export async function register(baseUrl: string, user: string, password: string, deviceId?: string): Promise<Session> {
  const body: JsonObject = {
    username: user,
    password,
    auth: { type: "m.login.dummy" },
    ...(deviceId === undefined ? {} : { device_id: deviceId }),
  };
  return new Session(baseUrl, await request(baseUrl, "POST", "v3/register", body));
}

async function request<T>(
  baseUrl: string,
  method: string,
  path: string,
  body?: JsonObject,
  accessToken?: string,
): Promise<T> {
  const headers = accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` };
  const content = method === "GET" || method === "DELETE" ? {} : { body: JSON.stringify(body ?? {}) };
  const answer = await fetch(`${baseUrl}/_matrix/client/${path}`, { method, headers, ...content });
  const text = await answer.text();
  if (!answer.ok) throw new ApiError(`${method} ${path}`, answer.status, text);
  return JSON.parse(text) as T;
}
