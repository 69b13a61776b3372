// A user with one device: acts on the homeserver, syncs with the server that is tried.
import { setTimeout as pause } from "node:timers/promises";
import { ApiError, type JsonObject, type Session } from "../../support/room-life/api.ts";
import { decodeAnswer } from "../golden/ruma-answer.ts";
import type { Answer, WireEvent } from "./answer.ts";
import type { Target } from "./target.ts";

/** How long a request is watched that must not be answered. Longer: slower. Shorter: an answer in vain may come later. */
const HELD_MS = 700;
/** How long a request may wait for news, in milliseconds. */
export const LONG_POLL_MS = 30_000;
/** How long who types is taken to type on. Shorter: a row on a busy machine takes longer. */
const TYPING_MS = 120_000;

interface SyncOptions {
  /** Where the client stands; undefined: nowhere. */
  readonly pos?: string;
  /** How long the server may wait for news. */
  readonly timeoutMs?: number;
}

export class Person {
  readonly session: Session;
  readonly #target: Target;

  constructor(target: Target, session: Session) {
    this.#target = target;
    this.session = session;
  }

  get id(): string {
    return this.session.userId;
  }

  /** An answer that knows everything that the homeserver has been told before. */
  async sync(request: JsonObject, options: SyncOptions = {}): Promise<Answer> {
    await this.#target.caughtUp(this.session);
    return await this.#ask(request, options);
  }

  /** A request that waits for news, and is not answered by what stands already. */
  async waitingSync(request: JsonObject, pos: string): Promise<WaitingSync> {
    await this.#target.caughtUp(this.session);
    return new WaitingSync(this.#ask(request, { pos, timeoutMs: LONG_POLL_MS }));
  }

  /** Status and code of a request that is refused. */
  async refusal(request: JsonObject, options: SyncOptions = {}): Promise<readonly [number, string | undefined]> {
    try {
      await this.#ask(request, options);
    } catch (error) {
      if (error instanceof ApiError) return [error.status, error.errcode];
      throw error;
    }
    throw new Error("the request was not refused");
  }

  async #ask(request: JsonObject, { pos, timeoutMs = 0 }: SyncOptions): Promise<Answer> {
    const query = new URLSearchParams({ timeout: String(timeoutMs), ...(pos !== undefined && { pos }) });
    const path = `unstable/org.matrix.simplified_msc3575/sync?${query}`;
    return decodeAnswer(await this.session.at(this.#target.syncUrl).call("POST", path, request));
  }

  /** A private room of this user. */
  async room(options: JsonObject = {}): Promise<string> {
    return await this.session.createRoom(options);
  }

  /** A room that everybody may join. */
  async publicRoom(options: JsonObject = {}): Promise<string> {
    return await this.session.createRoom({ preset: "public_chat", ...options });
  }

  async join(roomId: string): Promise<void> {
    await this.session.inRoom("POST", roomId, "join");
  }

  async leave(roomId: string): Promise<void> {
    await this.session.inRoom("POST", roomId, "leave");
  }

  /** Where this user syncs: no stream of the homeserver tells of it. */
  async forget(roomId: string): Promise<void> {
    await this.session.at(this.#target.syncUrl).inRoom("POST", roomId, "forget");
  }

  async invite(roomId: string, person: Person): Promise<void> {
    await this.session.inRoom("POST", roomId, "invite", { user_id: person.id });
  }

  async kick(roomId: string, person: Person): Promise<void> {
    await this.session.inRoom("POST", roomId, "kick", { user_id: person.id });
  }

  async ban(roomId: string, person: Person): Promise<void> {
    await this.session.inRoom("POST", roomId, "ban", { user_id: person.id });
  }

  /** Ignores this person, and nobody else. */
  async ignore(person: Person): Promise<void> {
    await this.session.setAccountData("m.ignored_user_list", { ignored_users: { [person.id]: {} } });
  }

  /** A message; its id. */
  async say(roomId: string, text = "hello"): Promise<string> {
    return await this.session.sendText(roomId, text);
  }

  /** Marks an event as read. */
  async read(roomId: string, eventId: string, type = "m.read"): Promise<void> {
    await this.session.inRoom("POST", roomId, `receipt/${type}/${encodeURIComponent(eventId)}`);
  }

  /** Begins to type, or ends. */
  async type(roomId: string, isTyping = true): Promise<void> {
    const body = isTyping ? { typing: true, timeout: TYPING_MS } : { typing: false };
    await this.session.inRoom("PUT", roomId, `typing/${encodeURIComponent(this.id)}`, body);
  }

  async tag(roomId: string, name: string): Promise<void> {
    await this.session.call("PUT", this.#tagPath(roomId, name), {});
  }

  async untag(roomId: string, name: string): Promise<void> {
    await this.session.call("DELETE", this.#tagPath(roomId, name));
  }

  #tagPath(roomId: string, name: string): string {
    return `v3/user/${encodeURIComponent(this.id)}/rooms/${encodeURIComponent(roomId)}/tags/${name}`;
  }

  /** A message to the device of this person. */
  async sendToDevice(person: Person, type: string, content: JsonObject): Promise<void> {
    await this.session.sendToDevice(type, { [person.id]: { [person.session.deviceId]: content } });
  }

  /** Key material of the device; the homeserver looks at its form alone. */
  async uploadKeys(keys: JsonObject): Promise<void> {
    await this.session.call("POST", "v3/keys/upload", keys);
  }

  /** Changes the device, of which those are told who share a room with its user. */
  async renameDevice(name: string): Promise<void> {
    await this.session.call("PUT", `v3/devices/${encodeURIComponent(this.session.deviceId)}`, { display_name: name });
  }

  /** The current state event, as the homeserver shows it to this user. */
  async state(roomId: string, type: string, stateKey = ""): Promise<WireEvent> {
    const all = await this.allState(roomId);
    const event = all.find((each) => each.type === type && each.state_key === stateKey);
    if (event === undefined) throw new Error(`${roomId} has no state ${type} ${stateKey}`);
    return event;
  }

  async allState(roomId: string): Promise<readonly WireEvent[]> {
    return await this.session.inRoom<WireEvent[]>("GET", roomId, "state");
  }
}

/** A sync request under way. */
export class WaitingSync {
  /** Resolves with the answer when news comes. */
  readonly answer: Promise<Answer>;
  #isAnswered = false;

  constructor(answer: Promise<Answer>) {
    this.answer = answer;
    const note = () => {
      this.#isAnswered = true;
    };
    answer.then(note, note);
  }

  /** Throws when the request is answered within a moment in which nothing that is news has happened. */
  async staysHeld(): Promise<void> {
    await pause(HELD_MS);
    if (this.#isAnswered) throw new Error(`the request was answered: ${JSON.stringify(await this.answer)}`);
  }
}
