import { invariant } from "../lib/invariant.ts";
import type { ExtensionData } from "../model/extension-reads.ts";
import type { RoomId, RoomNid, UserId } from "../model/ids.ts";
import type { RoomData } from "../model/room-reads.ts";
import type { StateEvent } from "../model/stored-event.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import type { ConnectionDelta, Told } from "./connection/state.ts";
import { toldAfterAnswer, toldWithoutAnswer } from "./connection/told-after.ts";
import { sayExtensions } from "./extensions/extensions.ts";
import { streamsAfter } from "./extensions/streams-after.ts";
import type { HoldWindow } from "./keep-back.ts";
import { answeredRooms, type SyncPlan } from "./plan.ts";
import type { RoomAnswer, SyncResponse } from "./response.ts";
import { type AssembledRoom, assembleRoom, bareAnswer, worthOf } from "./rooms/room-answer.ts";
import type { RoomPlan } from "./rooms/room-plan.ts";

/** A room that could not be assembled: it is left out of the answer and stays owed. */
interface FailedRoom {
  readonly room: RoomId;
  readonly error: unknown;
}

export interface SyncOutcome {
  readonly response: SyncResponse;
  /** What the client is told by this answer. */
  readonly delta: ConnectionDelta;
  /** Whether a waiting client should be answered now. */
  readonly hasNews: boolean;
  /** Since when something waits that will be news by itself; undefined: nothing does. */
  readonly quietSince: StreamPosition | undefined;
  readonly failedRooms: readonly FailedRoom[];
}

/** What the shell read: `data` for the plan's reads, `members` for `memberReads`, `extensions` for `extensionReads`. */
interface SyncData {
  readonly data: ReadonlyMap<RoomNid, RoomData>;
  readonly members: ReadonlyMap<RoomNid, ReadonlyMap<UserId, StateEvent>>;
  readonly extensions: ExtensionData;
}

/**
 * Says what the plan decided, from what was read for it. What may wait for an answer that is given anyway does so until it
 * stands at or before `justNow`.
 */
export function assembleSync(plan: SyncPlan, read: SyncData, justNow: HoldWindow["after"]): SyncOutcome {
  const draft = new OutcomeDraft(plan, justNow);
  for (const room of plan.rooms) {
    try {
      draft.add(room, assemble(plan, room, read));
    } catch (error) {
      draft.fail(room, error);
    }
  }
  return draft.finish(read.extensions);
}

function assemble(plan: SyncPlan, room: RoomPlan, { data, members }: SyncData): AssembledRoom {
  if (room.reads === undefined) {
    return { answer: bareAnswer(room), state: NO_STATE, ...worthOf(room, true) };
  }
  const roomData = data.get(room.room);
  invariant(roomData !== undefined, "every planned room was read");
  return assembleRoom(plan, room, roomData, members.get(room.room) ?? new Map());
}

const NO_STATE: AssembledRoom["state"] = {
  events: [],
  sentMembers: new Set(),
  staleMembers: new Set(),
  missed: [],
};

class OutcomeDraft {
  readonly #plan: SyncPlan;
  readonly #answers: RoomAnswer[] = [];
  readonly #failed: FailedRoom[] = [];
  readonly #justNow: StreamPosition;
  #hasNews = false;
  #quietSince: StreamPosition | undefined;
  readonly #answered: Map<RoomNid, RoomPlan>;
  readonly #rooms: Map<RoomNid, Told>;
  readonly #sentMembers = new Map<RoomNid, ReadonlySet<UserId>>();
  readonly #staleMembers = new Map<RoomNid, ReadonlySet<UserId>>();

  constructor(plan: SyncPlan, justNow: StreamPosition) {
    this.#plan = plan;
    this.#justNow = justNow;
    this.#answered = new Map(answeredRooms(plan));
    this.#rooms = new Map(plan.missed);
  }

  add(room: RoomPlan, { answer, state, isEmpty, quietSince }: AssembledRoom): void {
    const told = toldAfterAnswer(room, answer, state.missed);
    if (told !== room.told) this.#rooms.set(room.room, told);
    if (state.sentMembers.size > 0) this.#addSent(room, state.sentMembers);
    if (state.staleMembers.size > 0) this.#staleMembers.set(room.room, state.staleMembers);
    if (!isEmpty) this.#answers.push(answer);
    if (quietSince !== undefined && quietSince > this.#justNow) this.#wait(quietSince);
    else this.#hasNews ||= !isEmpty;
  }

  fail(room: RoomPlan, error: unknown): void {
    this.#failed.push({ room: room.roomId, error });
    this.#answered.delete(room.room);
    const told = toldWithoutAnswer(room, this.#from);
    if (told !== undefined) this.#rooms.set(room.room, told);
  }

  finish(data: ExtensionData): SyncOutcome {
    const { streams, streamsTold, accountData } = this.#plan;
    const extensions = sayExtensions(this.#plan.extensions, data, this.#answered);
    return {
      response: { lists: this.#plan.lists, rooms: this.#answers, extensions: extensions.response },
      delta: {
        rooms: this.#rooms,
        sentMembers: this.#sentMembers,
        staleMembers: this.#staleMembers,
        subscriptions: this.#plan.subscriptions,
        streams: streamsAfter(streams, streamsTold, this.#from, this.#answered),
        accountData,
      },
      hasNews: this.#hasNews || extensions.hasNews,
      quietSince: this.#quietSince,
      failedRooms: this.#failed,
    };
  }

  get #from(): StreamPosition {
    return this.#plan.from ?? BEFORE_ALL;
  }

  #wait(since: StreamPosition): void {
    if (this.#quietSince === undefined || since < this.#quietSince) this.#quietSince = since;
  }

  /** Only members that the connection does not remember as sent. */
  #addSent(room: RoomPlan, sent: ReadonlySet<UserId>): void {
    const added = [...sent].filter((userId) => !room.sentMembers.has(userId));
    if (added.length > 0) this.#sentMembers.set(room.room, new Set(added));
  }
}
