// The v2 streams of some users without a homeserver: bodies written by hand go through the real write path.

import type { ResponsePart } from "../../src/intake/ingest/part.ts";
import { Writer } from "../../src/intake/ingest/writer.ts";
import { LastSeen } from "../../src/intake/poller/last-seen.ts";
import { ResponseIntake } from "../../src/intake/poller/response-intake.ts";
import { type ParsedSection, parseSection } from "../../src/intake/response/parsed-section.ts";
import { emptySection } from "../../src/intake/response/room-section.ts";
import type { DeviceId, DeviceNid, EventId, RoomId, UserId, UserNid } from "../../src/model/ids.ts";
import type { Database } from "../../src/store/database.ts";
import { seeDevice } from "../../src/store/devices.ts";
import { STREAM_CHANNEL } from "../../src/store/publish.ts";

export interface StreamUser {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly deviceNid: DeviceNid;
  readonly deviceId: DeviceId;
}

/** A client event as `/sync` gives it. */
export interface WireEvent {
  readonly event_id: EventId;
  readonly type: string;
  readonly sender: UserId;
  readonly origin_server_ts: number;
  readonly content: object;
  readonly state_key?: string;
  readonly unsigned?: object;
}

/** `rooms.join`, as far as tests need it. */
export interface JoinedBody {
  readonly timeline?: {
    readonly events: readonly WireEvent[];
    readonly limited?: boolean;
    readonly prev_batch?: string;
  };
  readonly state?: { readonly events: readonly WireEvent[] };
  readonly state_after?: { readonly events: readonly WireEvent[] };
  readonly summary?: {
    readonly "m.heroes"?: readonly string[];
    readonly "m.joined_member_count"?: number;
    readonly "m.invited_member_count"?: number;
  };
  readonly account_data?: { readonly events: readonly { readonly type: string; readonly content: object }[] };
  /** `m.receipt` and `m.typing`. */
  readonly ephemeral?: { readonly events: readonly { readonly type: string; readonly content: object }[] };
  readonly unread_notifications?: { readonly notification_count: number; readonly highlight_count: number };
}

/** Parts of a stripped event. */
export type StrippedEvent = Pick<WireEvent, "type" | "sender" | "content"> & { readonly state_key: string };

export interface RoomsBody {
  readonly join?: Readonly<Record<string, JoinedBody>>;
  readonly leave?: Readonly<Record<string, JoinedBody>>;
  readonly invite?: Readonly<Record<string, { readonly invite_state: { readonly events: readonly StrippedEvent[] } }>>;
  readonly knock?: Readonly<Record<string, { readonly knock_state: { readonly events: readonly StrippedEvent[] } }>>;
}

export interface StoreOptions {
  /** The rooms are stored as the part of a long response: one membership change for all of them. */
  readonly isLong?: boolean;
  readonly ignoresSomebody?: boolean;
  /** Global account data that comes with the response. */
  readonly accountData?: readonly { readonly type: string; readonly content: object }[];
  /** Those who wait for the device's first sync or catch-up are told. */
  readonly isCatchUp?: boolean;
  /** What comes for the device alone: `to_device`, `device_lists` and counts of keys, as the response has them. */
  readonly ofDevice?: object;
}

export class StoredWorld {
  /** Rooms whose data the database refused. */
  readonly setAside: string[] = [];
  readonly #db: Database;
  readonly #writer: Writer;
  readonly #since = new Map<DeviceNid, string>();
  readonly #lastSeen = new Map<DeviceNid, LastSeen>();
  readonly #name: string;
  #count = 0;

  /**
   * Ids of events, rooms and users begin with `name`: worlds in one database need one each. With `notifies`, other processes
   * are told of every stored response.
   */
  constructor(db: Database, { name = "", notifies = false } = {}) {
    this.#db = db;
    this.#name = name;
    this.#writer = new Writer({
      db,
      onPosition: (position) => {
        if (notifies) void db.notify(STREAM_CHANNEL, String(position)).catch(() => {});
      },
      onStored: () => {},
      onLock: () => {},
      onRoomSetAside: (roomId) => this.setAside.push(roomId),
    });
  }

  /** A number that was never given before. */
  next(): number {
    this.#count += 1;
    return this.#count;
  }

  async user(name: string, deviceId = "PHONE"): Promise<StreamUser> {
    const userId = `@${this.#name}${name}:test` as UserId;
    const standing = await seeDevice(this.#db, {
      userId,
      deviceId: deviceId as DeviceId,
      isTokenFresh: true,
      sealToken: () => Buffer.from("sealed"),
      tokenHash: Buffer.from("hash"),
      forwardedFor: undefined,
      userAgent: undefined,
    });
    const { userNid, deviceNid } = standing!;
    return { userNid, userId, deviceNid, deviceId: deviceId as DeviceId };
  }

  /** Stores one response of the user's stream; resolves when it is committed. */
  async store(user: StreamUser, rooms: RoomsBody, options: StoreOptions = {}): Promise<void> {
    const { isLong = false, ignoresSomebody = false, isCatchUp = false, accountData = [], ofDevice } = options;
    const { deviceNid, userNid, userId } = user;
    const lastSeen = this.#lastSeen.get(deviceNid) ?? new LastSeen();
    this.#lastSeen.set(deviceNid, lastSeen);
    const intake = new ResponseIntake(
      {
        claim: { deviceNid, epoch: 0 },
        source: {
          userNid,
          userId,
          deviceNid,
          poll: isCatchUp ? "catch-up" : "live",
          storedBefore: this.#writer.position,
          toldUpTo: undefined,
          lastSeen: new Map(lastSeen.events),
        },
        ignored: new Set(ignoresSomebody ? ["@somebody:test"] : []),
        since: this.#since.get(deviceNid),
        nowUs: () => Date.now() * 1000,
      },
      {
        position: this.#writer.position,
        live: (part) => this.#live(part, isLong),
        bulk: (part) => this.#writer.bulk(part),
      },
      {
        onSetAside: (what, where, reason) => {
          throw new Error(`${what} ${where}: ${reason}`);
        },
      },
    );
    const nextBatch = `s${this.next()}`;
    const body = { next_batch: nextBatch, account_data: { events: accountData }, ...ofDevice, rooms };
    await intake.write(Buffer.from(JSON.stringify(body)));
    const taken = await intake.end();
    lastSeen.noteAll(taken.lastSeen);
    this.#since.set(deviceNid, nextBatch);
  }

  /** The homeserver, asked as the user, says of single values of a room: current events, and keys without any. */
  async answer(
    { deviceNid, userNid, userId }: StreamUser,
    roomId: RoomId,
    { state = [], absent = [] }: { readonly state?: readonly WireEvent[]; readonly absent?: ParsedSection["absent"] },
    storedBefore = this.#writer.position,
  ): Promise<void> {
    const raws = state.map((event) => Buffer.from(JSON.stringify(event)));
    const section = parseSection({ ...emptySection("join", roomId), state: raws }, () => {});
    await this.#writer.live({
      claim: { deviceNid, epoch: 0 },
      source: {
        userNid,
        userId,
        deviceNid,
        ignoresSomebody: true,
        poll: "asked",
        storedBefore,
        toldUpTo: undefined,
        lastSeen: new Map(),
        nowUs: Date.now() * 1000,
      },
      sections: [{ ...section, absent: absent ?? [] }],
      token: undefined,
      end: undefined,
      receivedUs: Date.now() * 1000,
      asked: [],
    });
  }

  async #live(part: ResponsePart, isLong: boolean): Promise<void> {
    if (!isLong) return await this.#writer.live(part);
    await this.#writer.bulk({ ...part, end: undefined, receivedUs: undefined });
    await this.#writer.live({ ...part, sections: [] });
  }

  /** An event that was never sent before. */
  event(type: string, sender: UserId, content: object = {}, more: Partial<WireEvent> = {}): WireEvent {
    const number = this.next();
    const base = { event_id: `$${this.#name}event${number}` as EventId, type, sender, content };
    return { ...base, origin_server_ts: 1_700_000_000_000 + number, ...more };
  }

  state(type: string, sender: UserId, content: object = {}, stateKey = ""): WireEvent {
    return this.event(type, sender, content, { state_key: stateKey });
  }

  member(userId: UserId, membership = "join", sender: UserId = userId): WireEvent {
    return this.state("m.room.member", sender, { membership, displayname: `name ${this.next()}` }, userId);
  }

  message(sender: UserId, more: Partial<WireEvent> = {}): WireEvent {
    return this.event("m.room.message", sender, { msgtype: "m.text", body: `text ${this.next()}` }, more);
  }

  /** What a first sync says of a new room that these users are in; the first one made it. */
  newRoom(members: readonly UserId[], more: readonly WireEvent[] = []): JoinedBody {
    const creator = members[0]!;
    const events = [
      this.state("m.room.create", creator, { room_version: "11" }),
      ...members.map((userId) => this.member(userId)),
      ...more,
    ];
    return {
      timeline: { events, limited: false, prev_batch: `p${this.next()}` },
      summary: { "m.joined_member_count": members.length },
    };
  }

  roomId(): RoomId {
    return `!${this.#name}room${this.next()}:test` as RoomId;
  }
}

export const timeline = (...events: readonly WireEvent[]): JoinedBody => ({ timeline: { events, limited: false } });
