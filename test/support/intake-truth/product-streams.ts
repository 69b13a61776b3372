// The product's side of some devices' streams, one thing at a time: polls, what is stored of them, and what is asked then.
import { type AskDeps, ask } from "../../../src/intake/fetch/ask.ts";
import type { Outcome } from "../../../src/intake/fetch/decide.ts";
import { type Contest, isContest, questionKey } from "../../../src/intake/ingest/contest.ts";
import { contestOf } from "../../../src/intake/ingest/contest-rows.ts";
import type { ResponsePart } from "../../../src/intake/ingest/part.ts";
import { Writer } from "../../../src/intake/ingest/writer.ts";
import { FILTER_WITHOUT_ROOMS, pollFilter } from "../../../src/intake/poller/filter.ts";
import { LastSeen } from "../../../src/intake/poller/last-seen.ts";
import { ResponseIntake, type TakenIn } from "../../../src/intake/poller/response-intake.ts";
import type { DeviceId, DeviceNid, UserId } from "../../../src/model/ids.ts";
import { ignoredBy } from "../../../src/model/ignored-users.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { selectHead } from "../../../src/store/changes.ts";
import { deleteContests, selectContests } from "../../../src/store/contests.ts";
import type { Database } from "../../../src/store/database.ts";
import { type ClaimedDevice, claimDevices, seeDevice } from "../../../src/store/devices.ts";
import type { Session } from "../homeserver/accounts.ts";
import type { ModelHomeserver } from "./model-homeserver.ts";

const HOUR_MS = 3_600_000;
/** No process has its lock: who claims next gets the device. */
const OWNER = 1;
const FORWARDED = { xForwardedFor: undefined, userAgent: undefined };

interface Pending {
  readonly part: ResponsePart;
  readonly taken: TakenIn;
  /** How many of its sections are stored. */
  stored: number;
  /** Whose stream has to tell of everything before, where the response left all rooms out. */
  readonly sibling: Stream | undefined;
}

interface Stream {
  readonly session: Session;
  readonly deviceNid: DeviceNid;
  claim: ClaimedDevice;
  since: string | undefined;
  ignored: ReadonlySet<string> | undefined;
  isCatchUp: boolean;
  /** What was stored before its last request was sent. */
  toldUpTo: StreamPosition | undefined;
  lastSeen: LastSeen;
  pending: Pending | undefined;
}

/** An answer that is on its way, or nothing to ask for. */
type Asked = { readonly part: ResponsePart | undefined; readonly settle: () => Promise<void> } | undefined;

export class ProductStreams {
  readonly streams: Stream[] = [];
  /** What was set aside: nothing ever is. */
  readonly aside: string[] = [];
  readonly #db: Database;
  readonly #homeserver: ModelHomeserver;
  readonly #filter: string;
  readonly #timelineLimit: number;
  readonly #onStored: (part: ResponsePart) => void;
  #writer: Writer;
  #open: Contest[] = [];
  #asked: Asked;

  /** `onStored` is told what was stored. */
  constructor(
    db: Database,
    homeserver: ModelHomeserver,
    timelineLimit: number,
    onStored: (part: ResponsePart) => void = () => {},
  ) {
    this.#db = db;
    this.#onStored = onStored;
    this.#homeserver = homeserver;
    this.#filter = pollFilter(timelineLimit);
    this.#timelineLimit = timelineLimit;
    this.#writer = this.#newWriter();
  }

  async add(session: Session): Promise<void> {
    const { deviceNid } = (await seeDevice(this.#db, {
      userId: session.user.userId as UserId,
      deviceId: session.device.deviceId as DeviceId,
      isTokenFresh: true,
      sealToken: () => Buffer.from("sealed"),
      tokenHash: Buffer.from("hash"),
      ...{ forwardedFor: undefined, userAgent: undefined },
    }))!;
    this.streams.push({ session, deviceNid, pending: undefined, ...(await this.#begin(deviceNid)) });
  }

  /** The homeserver answers the device's poll now; what is stored of it, and when, is another step. */
  async poll(index: number): Promise<void> {
    const stream = this.#stream(index);
    if (stream.pending !== undefined) return;
    const { claim, since, isCatchUp, toldUpTo, lastSeen, session } = stream;
    const { userNid, userId, deviceNid } = claim;
    const sibling = since === undefined ? this.#siblingOf(stream) : undefined;
    const poll = since === undefined && sibling === undefined ? "first" : isCatchUp ? "catch-up" : "live";
    const filter = sibling === undefined ? this.#filter : FILTER_WITHOUT_ROOMS;
    const storedBefore = Math.max(claim.head, this.#writer.position) as StreamPosition;
    const parts: ResponsePart[] = [];
    const collect = async (part: ResponsePart): Promise<void> => void parts.push(part);
    const intake = new ResponseIntake(
      {
        claim,
        source: { userNid, userId, deviceNid, poll, storedBefore, toldUpTo, lastSeen: new Map(lastSeen.events) },
        ignored: stream.ignored,
        since,
        nowUs: () => Date.now() * 1000,
      },
      { position: this.#writer.position, live: collect, bulk: collect },
      { onSetAside: (what, where, reason) => this.aside.push(`${what} ${where}: ${reason}`) },
    );
    await intake.write(await this.#homeserver.poll(session.token, since, filter));
    const taken = await intake.end();
    const [part] = parts;
    if (part === undefined || parts.length > 1) throw new Error("a response is one part here");
    stream.pending = { part, taken, stored: 0, sibling };
  }

  /**
   * One more room of the device's response is stored, as of a long one. Not of a first sync: when it breaks off, and the user
   * leaves a room of it before the next, that one says nothing of the room. Only the hourly comparison of joined rooms does.
   */
  async storeRoom(index: number): Promise<void> {
    const { pending, since } = this.#stream(index);
    const section = pending?.part.sections[pending.stored];
    if (pending === undefined || section === undefined || since === undefined) return;
    const part = { ...pending.part, sections: [section], end: undefined, receivedUs: undefined };
    await this.#writer.bulk(part);
    this.#onStored(part);
    pending.stored += 1;
  }

  /** The rest of the device's response is stored, and its stream goes on. */
  async store(index: number): Promise<void> {
    const stream = this.#stream(index);
    const { pending } = stream;
    if (pending === undefined) return;
    const toldUpTo = await this.#toldBy(pending);
    await this.storePart({ ...pending.part, sections: pending.part.sections.slice(pending.stored) });
    stream.pending = undefined;
    stream.toldUpTo = toldUpTo;
    stream.since = pending.taken.nextBatch;
    stream.ignored = pending.taken.ignored;
    stream.lastSeen.noteAll(pending.taken.lastSeen);
    if (stream.isCatchUp) {
      const bodies = await selectContests(this.#db, stream.claim.userNid);
      this.#open.push(...bodies.flatMap((body) => contestOf(body, stream.claim) ?? []).filter(isContest));
    }
    stream.isCatchUp = false;
  }

  /** What the stream has told when its response is stored; the sibling's is asked once more where it has to tell the rest. */
  async #toldBy({ part, sibling }: Pending): Promise<StreamPosition> {
    if (sibling === undefined) return part.source.storedBefore;
    const index = this.streams.indexOf(sibling);
    await this.store(index);
    await this.poll(index);
    await this.store(index);
    return this.#writer.position;
  }

  #siblingOf({ claim, deviceNid }: Stream): Stream | undefined {
    const ofUser = this.streams.filter((other) => other.claim.userNid === claim.userNid);
    return ofUser.find((other) => other.deviceNid !== deviceNid && other.since !== undefined);
  }

  async storePart(part: ResponsePart): Promise<void> {
    await this.#writer.live(part);
    this.#onStored(part);
  }

  /** The response breaks off, after what was stored of it. */
  lose(index: number): void {
    this.#stream(index).pending = undefined;
  }

  /** All that is not stored is lost. */
  async restart(): Promise<void> {
    this.#writer = this.#newWriter();
    this.#open = [];
    this.#asked = undefined;
    for (const stream of this.streams) {
      Object.assign(stream, { pending: undefined, ...(await this.#begin(stream.deviceNid)) });
    }
  }

  /** The homeserver is asked what one user can settle, and answers with what is so now. */
  async ask(): Promise<void> {
    const first = this.#open[0];
    if (this.#asked !== undefined || first === undefined) return;
    const isOf = ({ userNid }: { readonly userNid: number }) => userNid === first.userNid;
    const stream = this.streams.find(({ claim }) => isOf(claim));
    if (stream === undefined) throw new Error("only who is polled is asked as");
    const questions = new Map(this.#open.filter(isOf).map((contest) => [questionKey(contest), contest]));
    // As others it is asked only where this one is refused.
    const held = this.#open.filter((contest) => !isOf(contest) && questions.has(questionKey(contest)));
    this.#open = this.#open.filter((contest) => !questions.has(questionKey(contest)));
    let part: ResponsePart | undefined;
    const deps: AskDeps = {
      reads: this.#homeserver.values,
      rooms: this.#homeserver.rooms,
      timelineLimit: this.#timelineLimit,
      store: {
        live: async (given) => {
          part = given;
        },
      },
      head: () => selectHead(this.#db),
      nowUs: () => Date.now() * 1000,
    };
    const caller = { device: stream.claim, token: stream.session.token, forwarded: FORWARDED };
    const outcomes = await ask(deps, caller, [...questions.values()], new AbortController().signal);
    this.#asked = { part, settle: () => this.#settle(outcomes, held) };
  }

  /** The answer is stored. */
  async answer(): Promise<void> {
    const asked = this.#asked;
    if (asked === undefined) return;
    this.#asked = undefined;
    if (asked.part !== undefined) await this.storePart(asked.part);
    await asked.settle();
  }

  /** Everything that is on its way arrives, and all streams are followed until nothing is new and nothing is open. */
  async settle(): Promise<void> {
    for (const index of this.streams.keys()) await this.store(index);
    let isNews = true;
    while (isNews) {
      isNews = false;
      for (const [index, stream] of this.streams.entries()) {
        await this.poll(index);
        isNews ||= stream.pending?.taken.nextBatch !== stream.since;
        await this.store(index);
      }
      while (this.#open.length > 0 || this.#asked !== undefined) {
        await this.answer();
        await this.ask();
      }
    }
  }

  async #settle(outcomes: ReadonlyMap<Contest, Outcome>, held: readonly Contest[]): Promise<void> {
    const keys = [...outcomes].filter(([, outcome]) => outcome === "refused").map(([contest]) => questionKey(contest));
    const refused = new Set(keys);
    this.#open.push(...held.filter((contest) => refused.has(questionKey(contest))));
    const settled = [...outcomes.keys()].map(questionKey);
    const raised = new Set(this.#open.map(questionKey));
    await deleteContests(
      this.#db,
      settled.filter((key) => !raised.has(key)),
    );
  }

  async #begin(device: DeviceNid) {
    const [claim] = await claimDevices(this.#db, OWNER, { idleAfterMs: HOUR_MS, device, limit: 1 });
    if (claim === undefined) throw new Error("the device is claimed already");
    const ignored = claim.ignoredUserList && ignoredBy(claim.ignoredUserList);
    return {
      claim,
      since: claim.since,
      ignored: ignored ?? (claim.since === undefined ? undefined : new Set<string>()),
      isCatchUp: true,
      toldUpTo: undefined,
      lastSeen: new LastSeen(),
    };
  }

  #newWriter(): Writer {
    const writer: Writer = new Writer({
      db: this.#db,
      onPosition: () => {},
      // What an ended process still stores is not here.
      onStored: (_lane, { contests }) =>
        void (writer === this.#writer && this.#open.push(...contests.filter(isContest))),
      onLock: () => {},
      onRoomSetAside: (roomId, error) => this.aside.push(`${roomId}: ${error.message}`),
    });
    return writer;
  }

  #stream(index: number): Stream {
    const stream = this.streams[index % this.streams.length];
    if (stream === undefined) throw new Error("there is no stream");
    return stream;
  }
}
