import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { FaultRequest } from "./faults.ts";
import type { JsonObject } from "./json.ts";
import type { LivelyAccount } from "./lively/lively.ts";
import type { LoggedRequest } from "./request-log.ts";
import { logIn, Robot, request } from "./robot.ts";
import type { Settings } from "./world.ts";

export type ProfileName = "synapse" | "dendrite" | "tuwunel";

export const PROFILE_NAMES: readonly ProfileName[] = ["synapse", "dendrite", "tuwunel"];

export interface StartOptions {
  readonly profile?: ProfileName;
  readonly serverName?: string;
  /** Time that an initial sync computes before its first byte. */
  readonly initialDelayMs?: number;
  /** Rooms of the lively account `@demo`; without them there is none. */
  readonly rooms?: number;
  readonly eventsPerSecond?: number;
  readonly seed?: number;
}

/** What a test does to the homeserver from outside of Matrix. */
export interface Control {
  /** Puts a fault in force. The effect meets the next requests that fit, up to `times` of them. */
  fault(fault: FaultRequest): Promise<FaultInForce>;
  clearFaults(): Promise<void>;
  settings(settings: Partial<Settings>): Promise<void>;
  /** Moves the clock on, so that caches expire. */
  advanceClock(ms: number): Promise<void>;
  /** Forgets the answers to `/sync` that it would give again. */
  forgetCachedSyncs(): Promise<void>;
  /** Resolves when at least so many long polls wait for news; rejects after 10 s. */
  untilPollsHeld(count: number, userId?: string): Promise<void>;
  heldPolls(userId?: string): Promise<number>;
  /** Requests so far (not those of the control API) whose path contains the text. */
  requests(path?: string, userId?: string): Promise<LoggedRequest[]>;
  stats(): Promise<JsonObject>;
  /** Soft: the token expired. Else it is unknown; with `deleteDevice` its device is gone as well. */
  revokeToken(token: string, how?: { softLogout?: boolean; deleteDevice?: boolean }): Promise<void>;
  /** A further token for a device. */
  issueToken(userId: string, deviceId: string): Promise<string>;
  /** So many rooms with members, state and history for a user; their ids. */
  addRooms(userId: string, count: number): Promise<string[]>;
  /** Lets things happen in the lively rooms: at once, and from now on at a rate. */
  liven(life: { events?: number; eventsPerSecond?: number }): Promise<void>;
  /** An event as if from another server; returns its id. */
  inject(event: InjectedEvent): Promise<string>;
  /** A federation gap at the end of a room as it is now. */
  gap(roomId: string): Promise<void>;
  /** Current state that changes without an event: to an older event, or, without an id, to nothing. */
  resetState(roomId: string, type: string, stateKey: string, eventId?: string): Promise<void>;
  /** An invite into a room of which this server knows no more than the stripped state; returns the room's id. */
  remoteInvite(invite: {
    userId: string;
    sender?: string;
    roomId?: string;
    strippedState?: JsonObject[];
  }): Promise<string>;
  /**
   * What this server has of a room of other servers; returns its id. Nobody's stream tells of `history`, which a new room alone
   * may have. State of it that comes later is what a join was answered without (partial state), or what state resolution made.
   */
  remoteRoom(room: { roomId?: string; state?: RemoteEvent[]; history?: RemoteEvent[] }): Promise<string>;
  /** This server no longer knows the version of the room. */
  forgetRoomVersion(roomId: string): Promise<void>;
  /** The inviter of a remote invite takes it back. */
  retractRemoteInvite(retraction: { roomId: string; userId: string; sender: string }): Promise<void>;
}

export interface FaultInForce {
  readonly id: string;
  /** How many requests it met so far. */
  hits(): Promise<number>;
  /** Lets go of the requests that hang on it. */
  release(): Promise<void>;
  remove(): Promise<void>;
}

export interface InjectedEvent {
  readonly roomId: string;
  readonly sender: string;
  readonly type?: string;
  readonly content?: JsonObject;
  readonly stateKey?: string;
  readonly eventId?: string;
  readonly originServerTs?: number;
  /** Lower than that of the newest event: it came late. */
  readonly depth?: number;
  readonly redacts?: string;
  /** It does not follow the newest event. */
  readonly forked?: boolean;
  /** A state event that loses state resolution. */
  readonly loses?: boolean;
  readonly softFailed?: boolean;
}

export type RemoteEvent = Pick<
  InjectedEvent,
  "sender" | "type" | "content" | "stateKey" | "eventId" | "originServerTs"
>;

export interface Homeserver {
  readonly url: string;
  readonly pid: number;
  readonly serverName: string;
  readonly profile: ProfileName;
  /** The lively account, when rooms were asked for. */
  readonly account: LivelyAccount | undefined;
  readonly control: Control;
  /** A new user; the password is the localpart. */
  register(localpart: string, deviceId?: string): Promise<Robot>;
  /** A further device, or another token of one, for a known user. */
  login(localpart: string, deviceId?: string): Promise<Robot>;
  /** The owner of the lively account. */
  demo(): Robot;
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>;
}

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const HELD_TIMEOUT_MS = 10_000;

/** Starts the scripted homeserver as a process of its own, which ends with this one at the latest. */
export async function startHomeserver(options: StartOptions = {}): Promise<Homeserver & AsyncDisposable> {
  const child = spawn(process.execPath, ["--no-warnings", MAIN, "--watch-stdin", ...flagsOf(options)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const { url, ...account } = await readyLine(child);
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  };
  const lively = account.token === undefined ? undefined : (account as LivelyAccount);
  return {
    url,
    pid: child.pid ?? -1,
    serverName: options.serverName ?? "example.org",
    profile: options.profile ?? "synapse",
    account: lively,
    control: createControl(url),
    register: (localpart, deviceId) => logIn(url, localpart, deviceId, "register"),
    login: (localpart, deviceId) => logIn(url, localpart, deviceId, "login"),
    demo: () => {
      if (lively === undefined) throw new Error("started without rooms, so there is no lively account");
      return new Robot(url, lively);
    },
    kill: () => end("SIGKILL"),
    [Symbol.asyncDispose]: () => end("SIGTERM"),
  };
}

function flagsOf(options: StartOptions): string[] {
  const flags = {
    profile: options.profile,
    "server-name": options.serverName,
    "initial-delay": options.initialDelayMs === undefined ? undefined : `${options.initialDelayMs}ms`,
    rooms: options.rooms,
    "events-per-second": options.eventsPerSecond,
    seed: options.seed,
  };
  return Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)]));
}

interface ReadyLine extends Partial<LivelyAccount> {
  readonly url: string;
}

async function readyLine(child: ChildProcess): Promise<ReadyLine> {
  if (child.stdout === null) throw new Error("the homeserver has no stdout");
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line) as ReadyLine;
  throw new Error(`the homeserver ended before it was ready (exit code ${child.exitCode})`);
}

function createControl(base: string): Control {
  const post = (path: string, body: unknown = {}) => request(`${base}/_control/${path}`, "POST", body);
  const get = (path: string) => request(`${base}/_control/${path}`, "GET");
  const remove = (path: string) => request(`${base}/_control/${path}`, "DELETE");
  const pollQuery = (userId: string | undefined) => (userId === undefined ? "" : `&user=${encodeURIComponent(userId)}`);
  return {
    fault: async (fault) => {
      const id = String((await post("faults", fault)).id);
      return {
        id,
        hits: async () => Number((await get(`faults/${id}`)).hits),
        release: async () => void (await post(`faults/${id}/release`)),
        remove: async () => void (await remove(`faults/${id}`)),
      };
    },
    clearFaults: async () => void (await remove("faults")),
    settings: async (settings) => void (await post("settings", settings)),
    advanceClock: async (ms) => void (await post("clock", { advanceMs: ms })),
    forgetCachedSyncs: async () => void (await post("cache/forget")),
    heldPolls: async (userId) => Number((await get(`polls?count=0${pollQuery(userId)}`)).held),
    untilPollsHeld: async (count, userId) => {
      const answer = await get(`polls?count=${count}&timeoutMs=${HELD_TIMEOUT_MS}${pollQuery(userId)}`);
      if (answer.isReached !== true) throw new Error(`waited for ${count} held polls, there are ${answer.held}`);
    },
    requests: async (path = "", userId) =>
      (await get(`requests?path=${encodeURIComponent(path)}${pollQuery(userId)}`)).requests as LoggedRequest[],
    stats: () => get("stats"),
    revokeToken: async (token, how = {}) => void (await post("tokens/revoke", { token, ...how })),
    issueToken: async (userId, deviceId) => String((await post("tokens/issue", { userId, deviceId })).token),
    addRooms: async (userId, count) => (await post("rooms", { userId, count })).roomIds as string[],
    liven: async (life) => void (await post("lively", life)),
    inject: async (event) => String((await post("events", event)).event_id),
    gap: async (roomId) => void (await post("gap", { roomId })),
    resetState: async (roomId, type, stateKey, eventId) =>
      void (await post("state-reset", { roomId, type, stateKey, eventId })),
    remoteRoom: async (room) => String((await post("remote-room", room)).room_id),
    forgetRoomVersion: async (roomId) => void (await post("unknown-version", { roomId })),
    remoteInvite: async (invite) => String((await post("remote-invite", invite)).room_id),
    retractRemoteInvite: async (retraction) => void (await post("remote-retract", retraction)),
  };
}
