// One room as the store would hold it, in plain maps: sections are folded as the write path does, without a database.

import type { OpenQuestion } from "../../src/intake/ingest/contest.ts";
import { foldHistory } from "../../src/intake/ingest/fold-history.ts";
import { foldSection } from "../../src/intake/ingest/fold-section.ts";
import { RoomDraft } from "../../src/intake/ingest/room-draft.ts";
import type { Numbers, Source } from "../../src/intake/ingest/source.ts";
import { parseSection } from "../../src/intake/response/parsed-section.ts";
import { ResponseReader } from "../../src/intake/response/response-reader.ts";
import type { RoomSection, SectionKind } from "../../src/intake/response/room-section.ts";
import { ChangeStream } from "../../src/model/change.ts";
import type { ChunkNid, EventId, EventNid, RoomId, RoomNid, UserId, UserNid } from "../../src/model/ids.ts";
import { Membership } from "../../src/model/membership.ts";
import type { StoredText } from "../../src/model/redaction.ts";
import {
  type KnownEvent,
  type MembershipRow,
  type Neighbour,
  type NewChunk,
  type OrderMark,
  type RoomBefore,
  type RoomWrites,
  type StateValue,
  stateKeyOf,
} from "../../src/model/room-facts.ts";
import type { RoomRow } from "../../src/model/room-row.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { Visibility } from "../../src/model/visibility.ts";
import type { NewChange } from "../../src/store/publish.ts";
import { senderOf, storeChunks } from "./drafted-chunks.ts";
import { ALICE } from "./v2-events.ts";

export const ROOM = "!room:test";

interface StoredEvent {
  readonly nid: EventNid;
  readonly eventId: string;
  orderKey: number | undefined;
  chunk: ChunkNid | undefined;
  visibility: Visibility;
  position: number;
  readonly type: string;
  readonly stateKey: string | undefined;
  readonly previous: EventId | undefined;
  body: Buffer;
  unsigned: Buffer | undefined;
}

/** A stream whose last response ended with the event. */
export const seen = (eventId: string): Pick<Source, "lastSeen"> => ({
  lastSeen: new Map([[ROOM as RoomId, eventId as EventId]]),
});

/** What a membership row holds beside what sections are compared with. */
type StoredMembership = MembershipRow & { readonly sender: string };

export interface Folded {
  readonly changes: readonly NewChange[];
  readonly writes: RoomWrites;
  /** `ChangeFlag` bits of the room's change; 0: there is none. */
  readonly flags: number;
}

export class DraftedRoom implements Numbers {
  readonly events = new Map<string, StoredEvent>();
  readonly chunks = new Map<ChunkNid, NewChunk>();
  readonly tokens = new Map<number, string>();
  readonly state = new Map<string, StateValue>();
  /** Redacted events, with what redacted them. */
  readonly redacted = new Map<EventId, EventId | "">();
  readonly memberships = new Map<UserId, StoredMembership>();
  row: RoomRow = emptyRow();
  activity = 0;
  bump = 0;
  /** Of the newest fact. */
  position = 0 as StreamPosition;
  /** What the last fold left to be asked. */
  lastContests: readonly OpenQuestion[] = [];
  #number = 0;

  batch(): number {
    this.#number += 1;
    return this.#number;
  }

  eventNid(): EventNid {
    return this.batch() as EventNid;
  }

  chunkNid(): ChunkNid {
    return this.batch() as ChunkNid;
  }

  /** Folds one section, and stores what it wrote. */
  fold(kind: SectionKind, section: object, more: Partial<Source> = {}): Folded {
    return this.foldAll([[kind, section, more]]);
  }

  /** Folds sections as one transaction does, and stores what they wrote. */
  foldAll(sections: readonly (readonly [SectionKind, object, Partial<Source>])[]): Folded {
    const draft = this.draft();
    const changes = sections.flatMap(([kind, section, more]) => {
      const parsed = parseSection(readSection(kind, section), () => {});
      return foldSection(draft, parsed, this.#source(more), this, undefined).changes;
    });
    this.store(draft, changes);
    this.lastContests = draft.contests;
    return { changes, writes: draft.writes, flags: changes.find(isOfRoom)?.flags ?? 0 };
  }

  /** Takes in older events, with what was in force after them, and stores what they wrote. */
  foldHistory(section: object, more: Partial<Source> = {}, after: Visibility = Visibility.shared): Folded {
    const draft = this.draft();
    const parsed = parseSection(readSection("join", section), () => {});
    const changes = foldHistory(draft, parsed, this.#source({ poll: "history", ...more }), after, this);
    this.store(draft, changes);
    return { changes, writes: draft.writes, flags: changes.find(isOfRoom)?.flags ?? 0 };
  }

  /** Where a transaction begins. */
  draft(): RoomDraft {
    return new RoomDraft(this.#before(), this);
  }

  #source(more: Partial<Source>): Source {
    return {
      userNid: 1 as UserNid,
      userId: ALICE as UserId,
      deviceNid: 1,
      ignoresSomebody: false,
      poll: "live",
      storedBefore: this.position,
      toldUpTo: undefined,
      lastSeen: new Map(),
      nowUs: 2_000_000_000_000_000,
      ...more,
    };
  }

  /** The event that is current for a state key. */
  current(type: string, stateKey = ""): string | undefined {
    const nid = this.state.get(stateKeyOf(type, stateKey))?.nid;
    return [...this.events.values()].find((event) => event.nid === nid)?.eventId;
  }

  /** Events that stand in the timeline, oldest first. */
  timeline(): readonly Required<StoredEvent>[] {
    const placed = [...this.events.values()].filter(
      (event): event is Required<StoredEvent> => event.orderKey !== undefined,
    );
    return placed.sort((a, b) => Number(a.orderKey) - Number(b.orderKey));
  }

  /** The timeline in one line: ` | ` for a hole, ` ~ ` where a chunk continues another. */
  line(): string {
    return this.timeline().reduce((line, event, index, all) => {
      const older = all[index - 1];
      const isSame = older === undefined || older.chunk === event.chunk;
      const isJoined = this.chunks.get(event.chunk as ChunkNid)?.continues === true;
      return `${line}${isSame ? " " : isJoined ? " ~ " : " | "}${event.eventId.slice(1)}`.trimStart();
    }, "");
  }

  #before(): RoomBefore {
    const { row, activity, bump } = this;
    const tail = row.lastChunk === undefined ? undefined : this.chunks.get(row.lastChunk);
    return {
      row,
      end: {
        attestedFor: tail?.attestedFor,
        continues: tail?.continues ?? false,
        chunk: this.timeline().at(-1)?.chunk,
        sender: senderOf(this.timeline().at(-1)),
        storedAt: this.timeline().at(-1)?.position as StreamPosition | undefined,
        activity,
        bump,
        isFollowed: [...this.memberships.values()].some(({ membership }) => membership === Membership.join),
      },
      known: this.#known(),
      state: new Map(this.state),
      memberships: new Map(this.memberships),
      ...this.#redactions(),
    };
  }

  #storedText(event: StoredEvent): StoredText {
    const { nid, type, stateKey } = event;
    const isCurrent = stateKey !== undefined && this.state.get(stateKeyOf(type, stateKey))?.nid === nid;
    return { ...event, isCurrent, redaction: this.redacted.get(event.eventId as EventId) };
  }

  #redactions(): Pick<RoomBefore, "redacted" | "texts"> {
    const redacted = [...this.redacted].map(
      ([eventId, redaction]) => [eventId, { redaction, body: this.events.get(redaction)?.body }] as const,
    );
    const texts = [...this.events].map(([id, event]) => [id as EventId, this.#storedText(event)] as const);
    return { redacted: new Map(redacted), texts: new Map(texts) };
  }

  #known(): ReadonlyMap<EventId, KnownEvent> {
    const known = new Map<EventId, KnownEvent>();
    for (const { nid, eventId } of this.events.values()) known.set(eventId as EventId, { nid, landmark: undefined });
    const timeline = this.timeline();
    for (const [at, { nid, eventId, orderKey, chunk }] of timeline.entries()) {
      const { attestedFor, continues } = this.chunks.get(chunk!)!;
      const [previous, next] = [timeline[at - 1], timeline[at + 1]].map((event) => this.#neighbour(event));
      const landmark = { orderKey: orderKey!, chunk: chunk!, attestedFor, continues, previous, next };
      known.set(eventId as EventId, { nid, landmark });
    }
    return known;
  }

  #neighbour(event: StoredEvent | undefined): Neighbour | undefined {
    const { orderKey, chunk } = event ?? {};
    if (orderKey === undefined || chunk === undefined) return undefined;
    return { orderKey, chunk, continues: this.chunks.get(chunk)!.continues };
  }

  /** Where a transaction ends. */
  store({ row, writes, activity, bump, memberships }: RoomDraft, changes: readonly NewChange[]): void {
    const positions = new Map(changes.map(({ batch }, index) => [batch, this.position + index + 1]));
    this.position = (this.position + changes.length) as StreamPosition;
    const positionOf = (batch: number) => positions.get(batch) as StreamPosition;
    const usOf = ({ batch, us }: OrderMark) => (batch === undefined ? us : positionOf(batch));
    this.row = row;
    if (activity !== undefined) this.activity = usOf(activity);
    if (bump !== undefined) this.bump = usOf(bump);
    for (const { orderKey, token } of writes.tokens) if (!this.tokens.has(orderKey)) this.tokens.set(orderKey, token);
    for (const { nid, event, orderKey, chunk, visibility, batch } of writes.events) {
      const { eventId, type, stateKey, body, unsigned, previous } = event;
      const text = { type, stateKey, body, unsigned, previous };
      this.events.set(eventId, { nid, eventId, orderKey, chunk, visibility, position: positionOf(batch), ...text });
    }
    for (const { eventId, redaction } of writes.redactions) this.redacted.set(eventId, redaction);
    for (const event of this.events.values()) Object.assign(event, writes.rewritten.get(event.nid));
    for (const { nid, orderKey, chunk, visibility, batch } of writes.placed) {
      const event = [...this.events.values()].find((other) => other.nid === nid)!;
      Object.assign(event, { orderKey, chunk, visibility, position: positionOf(batch) });
    }
    storeChunks(writes, this.chunks, this.events);
    for (const { type, stateKey, nid, batch } of writes.state) {
      this.state.set(stateKeyOf(type, stateKey), { nid, position: positionOf(batch) });
    }
    this.#storeMemberships(writes, memberships, positionOf);
  }

  #storeMemberships(
    writes: RoomWrites,
    memberships: ReadonlyMap<UserId, MembershipRow>,
    positionOf: (batch: number) => StreamPosition,
  ): void {
    for (const [userId, drafted] of memberships) {
      const change = writes.memberships.findLast(({ userNid }) => userNid === drafted.userNid);
      const stored = this.memberships.get(userId);
      this.memberships.set(userId, {
        ...drafted,
        since: drafted.since ?? (change && positionOf(change.batch)),
        sender: change?.sender ?? stored?.sender ?? "",
        sinceOrderKey: change?.isTransition ? change.sinceOrderKey : (change?.sinceOrderKey ?? stored?.sinceOrderKey),
      });
    }
  }
}

const isOfRoom = ({ stream }: NewChange) => stream === ChangeStream.room;

function emptyRow(): RoomRow {
  return {
    room: 1 as RoomNid,
    roomId: ROOM as RoomId,
    isComplete: false,
    quarantined: undefined,
    roomVersion: undefined,
    roomType: undefined,
    name: undefined,
    avatar: undefined,
    isEncrypted: false,
    encryptionOrderKey: undefined,
    historyVisibility: Visibility.shared,
    tombstoneSuccessor: undefined,
    joinedCount: undefined,
    invitedCount: undefined,
    firstOrderKey: undefined,
    lastOrderKey: undefined,
    lastChunk: undefined,
    membersBatch: undefined,
    membersReading: undefined,
  };
}

function readSection(kind: SectionKind, section: object): RoomSection {
  const rooms: RoomSection[] = [];
  const reader = new ResponseReader({ onRoom: (room) => rooms.push(room), onSetAside: () => {} });
  reader.write(Buffer.from(JSON.stringify({ rooms: { [kind]: { [ROOM]: section } } })));
  reader.end();
  return rooms[0]!;
}
