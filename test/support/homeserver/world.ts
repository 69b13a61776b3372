import type { Clock } from "./clock.ts";
import { type EventDraft, type Membership, membershipOf, type StoredEvent, stateKeyOf } from "./event.ts";
import type { Ids } from "./ids.ts";
import { stringOr } from "./json.ts";
import { notFound } from "./matrix-error.ts";
import { powerLevels } from "./power.ts";
import type { Profile } from "./profile.ts";
import { createUnreadCounter } from "./push/unread.ts";
import { prunedContent } from "./redaction.ts";
import { Room } from "./room.ts";
import { createStreams, type Streams } from "./streams.ts";
import type { StreamToken } from "./tokens.ts";
import type { Device, User } from "./user.ts";
import type { WakeUp } from "./wake.ts";

export interface WorldOptions {
  readonly serverName: string;
  readonly profile: Profile;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly wakeUp: WakeUp;
}

/** What a test may switch while the server runs. */
export interface Settings {
  /** Time that an initial sync computes before its first byte. */
  initialDelayMs: number;
  responseCache: boolean;
  msc4222: boolean;
  /** State at the end of a timeline cannot be loaded, so that `state` comes instead of `state_after`. */
  stateAfterFails: boolean;
  /**
   * The positions that `/sync` tells are so much lower than they were, as after a backup was restored. What was stored is
   * not undone.
   */
  restoredBy: number;
}

export interface Access {
  readonly device: Device;
  /** Set once the token is refused: what the 401 says of it. */
  softLogout?: boolean;
}

/** The whole homeserver's memory. Everything that happens goes through {@link append} or one of the stream counters. */
export class World {
  readonly serverName: string;
  readonly profile: Profile;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly wakeUp: WakeUp;
  readonly unread = createUnreadCounter();
  readonly settings: Settings = {
    initialDelayMs: 0,
    responseCache: true,
    msc4222: false,
    stateAfterFails: false,
    restoredBy: 0,
  };
  readonly users = new Map<string, User>();
  readonly rooms = new Map<string, Room>();
  readonly events = new Map<string, StoredEvent>();
  /** All events in the order of their stream. */
  readonly stream: StoredEvent[] = [];
  readonly access = new Map<string, Access>();
  readonly aliases = new Map<string, string>();
  /** Receipts of all rooms in the order of their stream, so that news since a position is found from the end. */
  readonly receiptLog: { readonly position: number; readonly roomId: string }[] = [];
  readonly typingLog: { readonly position: number; readonly roomId: string }[] = [];
  /** Events related to an event, by its id. */
  readonly relations = new Map<string, StoredEvent[]>();
  readonly streams: Streams;

  constructor(options: WorldOptions) {
    this.serverName = options.serverName;
    this.profile = options.profile;
    this.streams = createStreams(options.profile.hasOneCounter);
    this.clock = options.clock;
    this.ids = options.ids;
    this.wakeUp = options.wakeUp;
  }

  now(): StreamToken {
    const { room, ...streams } = this.streams;
    return {
      ...streams,
      room: { depth: undefined, stream: room },
      presence: 1,
      groups: 0,
      unPartialStated: 1,
      threadSubscriptions: 1,
      sticky: 1,
      quarantinedMedia: 1,
    };
  }

  room(roomId: string): Room {
    const room = this.rooms.get(roomId);
    if (room === undefined) throw notFound("Unknown room");
    return room;
  }

  addRoom(roomId: string, version: string): Room {
    const room = new Room(roomId, version);
    this.rooms.set(roomId, room);
    return room;
  }

  /** Puts an event at the end of the stream, with all that follows from it, and wakes whom it concerns. */
  append(room: Room, draft: EventDraft): StoredEvent {
    const event = this.#store(room, draft);
    if (draft.oddity?.outlier !== true) room.append(event);
    if (event.type === "m.room.member" && event.stateKey !== undefined && draft.oddity?.loses !== true) {
      this.noteMembership(event.stateKey, event);
      // Whoever leaves stops typing.
      if (membershipOf(event) !== "join" && room.typing.delete(event.stateKey)) this.noteTyping(room);
    }
    if (event.type === "m.room.redaction") this.#redact(room, event);
    this.#relate(event);
    this.wakeRoom(room);
    return event;
  }

  /** State of a room as other servers tell it: it is current, and stands in no timeline. */
  learnState(room: Room, draft: EventDraft): void {
    const event = this.#store(room, { ...draft, oddity: { outlier: true } });
    room.changeState(stateKeyOf(event.type, event.stateKey ?? ""), event, event.stream);
    this.wakeRoom(room);
  }

  /** Events from before this server was in the room, oldest first: as in Synapse, they stand before all that any stream tells of. */
  backfill(room: Room, drafts: readonly EventDraft[]): void {
    drafts.forEach((draft, index) => {
      room.append(this.#make(room, draft, index - drafts.length));
    });
  }

  #store(room: Room, draft: EventDraft): StoredEvent {
    this.streams.room += 1;
    const event = this.#make(room, draft, this.streams.room);
    this.stream.push(event);
    return event;
  }

  #make(room: Room, draft: EventDraft, stream: number): StoredEvent {
    const event: StoredEvent = {
      eventId: draft.eventId ?? this.ids.event(),
      roomId: room.id,
      type: draft.type,
      stateKey: draft.stateKey,
      sender: draft.sender,
      content: draft.content,
      originServerTs: draft.originServerTs ?? this.clock.nowMs(),
      stream,
      depth: draft.depth ?? room.depth + 1,
      redacts: draft.redacts,
      replaces: draft.stateKey === undefined ? undefined : room.state(draft.type, draft.stateKey),
      redactedBecause: undefined,
      knowsPrevious: false,
      sentBy: draft.sentBy,
      oddity: draft.oddity,
    };
    this.events.set(event.eventId, event);
    return event;
  }

  /** Who types in the room is another. */
  noteTyping(room: Room): void {
    this.streams.typing += 1;
    room.typingSerial = this.streams.typing;
    this.typingLog.push({ position: room.typingSerial, roomId: room.id });
    this.wakeRoom(room);
  }

  noteMembership(userId: string, event: StoredEvent): void {
    const user = this.users.get(userId);
    if (user === undefined) return;
    user.memberships.set(event.roomId, { membership: membershipOf(event), event, forgotten: false });
    user.membershipEvents.push(event);
    this.wakeUp.wake(userId);
  }

  /** The current own membership of a local user; `undefined` when there never was one. */
  membership(userId: string, roomId: string): Membership | undefined {
    return this.users.get(userId)?.memberships.get(roomId)?.membership;
  }

  wakeRoom(room: Room): void {
    if (this.wakeUp.isIdle()) return;
    for (const [userId, member] of room.members) if (membershipOf(member) === "join") this.wakeUp.wake(userId);
  }

  localUsersIn(room: Room): User[] {
    return room.joinedMembers().flatMap((userId) => this.users.get(userId) ?? []);
  }

  #redact(room: Room, redaction: StoredEvent): void {
    const target = this.events.get(redaction.redacts ?? stringOr(redaction.content.redacts, ""));
    if (target === undefined || target.roomId !== room.id) return;
    const levels = powerLevels(room);
    if (target.sender !== redaction.sender && levels.of(redaction.sender) < levels.redact) return;
    target.content = prunedContent(target, room.versionNumber);
    target.redactedBecause = redaction;
  }

  #relate(event: StoredEvent): void {
    const relation = event.content["m.relates_to"];
    if (typeof relation !== "object" || relation === null || !("event_id" in relation)) return;
    if (typeof relation.event_id !== "string") return;
    const related = this.relations.get(relation.event_id);
    if (related === undefined) this.relations.set(relation.event_id, [event]);
    else related.push(event);
  }
}
