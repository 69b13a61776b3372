import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { RoomReads } from "../../homeserver/room-reads.ts";
import type { ValueReads } from "../../homeserver/value-reads.ts";
import { errorOf } from "../../lib/error-of.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { UpstreamError } from "../../model/upstream-error.ts";
import type { Database } from "../../store/database.ts";
import type { ClaimedDevice } from "../../store/devices.ts";
import {
  areMembersKnown,
  delayMemberWish,
  endMemberWish,
  expireMemberWishes,
  MEMBER_WISHES_CHANNEL,
  type MemberWish,
  takeMemberWish,
} from "../../store/member-wishes.ts";
import type { ResponsePart } from "../ingest/part.ts";
import type { PartStore } from "../poller/response-intake.ts";
import { isBad, type ParsedEvent, parseEvent } from "../response/parse-event.ts";
import { parseSection } from "../response/parsed-section.ts";
import { emptySection } from "../response/room-section.ts";
import { askedSource } from "./asked-source.ts";
import type { Callers } from "./callers.ts";
import { joinedEvent, MEMBER } from "./decide.ts";
import type { FetchQueue } from "./fetch-queue.ts";
import { afterRefusal, assertRefusal } from "./gone-from.ts";

/** Members stored in one transaction. More: it holds up the room for longer. Fewer: more commits for the same room. */
const PART_MEMBERS = 1_000;

/** Rooms read at a time. More: large ones strain the homeserver. Fewer: a large one holds up small ones. */
const MAX_ROOMS = 2;

/** A reading that has not ended after so long has died with its process. Shorter: a slow one is repeated while it runs. */
const TAKEN_MS = 5 * 60_000;

/** Wishes are looked for so often, said or not. Longer: one that was postponed, or whose notification was lost, waits. */
const LOOK_MS = 10_000;

/** A wish that nobody repeats ends after so long. Longer: a process that comes back reads what nobody waits for. Shorter: a slow one never does. */
const EXPIRE_MS = 10 * 60_000;

/** The wait after a failure, for each attempt so far; after the last a client has to ask anew. */
const RETRY_MS = 5_000;
const MAX_ATTEMPTS = 5;

export interface MembersReaderDeps {
  readonly db: Database;
  readonly owner: number;
  readonly rooms: Pick<RoomReads, "members">;
  readonly values: Pick<ValueReads, "stateEvent" | "joinedRooms">;
  readonly callers: Callers;
  readonly store: Pick<PartStore, "bulk">;
  readonly ask: Pick<FetchQueue, "add" | "isWaitingFor">;
  readonly head: () => Promise<StreamPosition>;
  readonly nowUs: () => number;
  readonly onRead: (roomId: RoomId, members: number) => void;
  readonly onFailed: (roomId: RoomId | undefined, error: Error) => void;
}

/** Reads all members of rooms of which a client wants them. They are claims as those of any answer of the homeserver's. */
export class MembersReader {
  readonly #deps: MembersReaderDeps;
  readonly #end = new AbortController();
  readonly #reading = new Set<Promise<void>>();
  #listening: AsyncDisposable | undefined;
  #timer: NodeJS.Timeout | undefined;
  #free = MAX_ROOMS;
  #isLooking = false;
  #isWanted = false;

  constructor(deps: MembersReaderDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    const look = () => this.#look();
    this.#timer = setInterval(() => this.#expire(), LOOK_MS).unref();
    this.#listening = await this.#deps.db.listen(MEMBER_WISHES_CHANNEL, look, look);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    clearInterval(this.#timer);
    await this.#listening?.[Symbol.asyncDispose]();
    await Promise.all(this.#reading);
  }

  #expire(): void {
    const expiring = expireMemberWishes(this.#deps.db, EXPIRE_MS)
      .catch((thrown: unknown) => this.#deps.onFailed(undefined, errorOf(thrown)))
      .finally(() => this.#reading.delete(expiring));
    this.#reading.add(expiring);
    this.#look();
  }

  /** Takes wishes as long as there are any and places for them. What comes up meanwhile is looked for again. */
  #look(): void {
    this.#isWanted = true;
    if (this.#isLooking || this.#end.signal.aborted) return;
    this.#isLooking = true;
    const looking = this.#takeAll()
      .catch((thrown: unknown) => this.#deps.onFailed(undefined, errorOf(thrown)))
      .finally(() => {
        this.#isLooking = false;
        this.#reading.delete(looking);
      });
    this.#reading.add(looking);
  }

  async #takeAll(): Promise<void> {
    const { db, owner } = this.#deps;
    while (this.#isWanted && this.#free > 0 && !this.#end.signal.aborted) {
      this.#isWanted = false;
      const wish = await takeMemberWish(db, owner, TAKEN_MS);
      if (wish === undefined) continue;
      this.#isWanted = true;
      this.#begin(wish);
    }
  }

  #begin(wish: MemberWish): void {
    this.#free -= 1;
    const reading = this.#grant(wish)
      .catch((thrown: unknown) => this.#fail(wish, thrown))
      .catch((thrown: unknown) => this.#deps.onFailed(wish.roomId, errorOf(thrown)))
      .finally(() => {
        this.#reading.delete(reading);
        this.#free += 1;
        this.#look();
      });
    this.#reading.add(reading);
  }

  async #fail({ room, roomId, attempts }: MemberWish, thrown: unknown): Promise<void> {
    const { db, onFailed } = this.#deps;
    if (this.#end.signal.aborted) return await delayMemberWish(db, room, 0);
    onFailed(roomId, errorOf(thrown));
    if (attempts >= MAX_ATTEMPTS) await endMemberWish(db, room);
    else await delayMemberWish(db, room, RETRY_MS * attempts);
  }

  async #grant(wish: MemberWish): Promise<void> {
    const { db, rooms, values, callers, ask, head, onRead } = this.#deps;
    const { room, roomId, userId, userNid } = wish;
    const caller = callers.of(userNid);
    if (caller === undefined) return await delayMemberWish(db, room, RETRY_MS);
    if (await areMembersKnown(db, room)) return await endMemberWish(db, room);
    const { token, forwarded } = caller;
    const call: ReadCall = { token, forwarded, signal: this.#end.signal };
    const storedBefore = await head();
    let own: ParsedEvent | undefined;
    let isRefused = false;
    let count = 0;
    const take = async (raws: readonly Buffer[]) => {
      // After the answer has begun: who was out before is told of the time when they left.
      if (count === 0) own = await this.#ownMember(call, roomId, userId);
      isRefused = own === undefined;
      if (own === undefined) return;
      count += raws.length;
      await this.#store(wish, caller.device, {
        storedBefore,
        events: [...this.#membersIn(raws, wish), own],
        isLast: false,
      });
    };
    try {
      await rooms.members(call, roomId, PART_MEMBERS, take);
    } catch (error) {
      assertRefusal(error);
      isRefused = true;
    }
    if (isRefused) ask.add(await afterRefusal(values, call, wish, roomId));
    else if (own === undefined) throw new UpstreamError("GET /members: no members", { kind: "malformed" });
    else await this.#store(wish, caller.device, { storedBefore, events: [own], isLast: true });
    await endMemberWish(db, room);
    if (!isRefused) onRead(roomId, count);
  }

  /** undefined: the user is not in the room. */
  async #ownMember(call: ReadCall, roomId: RoomId, userId: UserId): Promise<ParsedEvent | undefined> {
    return joinedEvent(await this.#deps.values.stateEvent(call, roomId, MEMBER, userId), roomId, userId);
  }

  /** Those that a timeline needs are told as news by whoever asked for them. */
  #membersIn(raws: readonly Buffer[], { roomId, userId }: MemberWish): readonly ParsedEvent[] {
    return raws.flatMap((raw) => {
      const event = parseEvent(raw);
      if (isBad(event) || event.type !== MEMBER || event.stateKey === undefined || event.stateKey === userId) return [];
      return this.#deps.ask.isWaitingFor(roomId, event.stateKey) ? [] : [event];
    });
  }

  async #store(
    { roomId, reading }: MemberWish,
    device: ClaimedDevice,
    { storedBefore, events, isLast }: { storedBefore: StreamPosition; events: readonly ParsedEvent[]; isLast: boolean },
  ): Promise<void> {
    const empty = parseSection(emptySection("join", roomId), () => undefined);
    const part: ResponsePart = {
      claim: device,
      source: askedSource(device, storedBefore, this.#deps.nowUs()),
      sections: [{ ...empty, state: events, members: { reading, isLast } }],
      token: undefined,
      end: undefined,
      receivedUs: undefined,
      asked: [],
    };
    await this.#deps.store.bulk(part);
  }
}
