import type { SyncResponse } from "../../../src/engine/response.ts";
import type { DeviceId, RoomId, UserId } from "../../../src/model/ids.ts";
import type { Database } from "../../../src/store/database.ts";
import { openTestDatabase } from "../database.ts";
import type { Session } from "../homeserver/accounts.ts";
import { ModelHomeserver } from "../intake-truth/model-homeserver.ts";
import { ProductStreams } from "../intake-truth/product-streams.ts";
import { SyncWorld } from "../sync-world.ts";
import { type Asking, Clients, EVERYTHING, SteppedClock } from "./clients.ts";
import { type Deed, Doers } from "./deeds.ts";
import { fetchHistory } from "./fetch-history.ts";
import { Judge } from "./judge.ts";
import { judgeExtensions } from "./judge-extensions.ts";
import { Ledger } from "./ledger.ts";
import { type TrueEvent, VisibilityModel } from "./model.ts";

export const USERS = 3;

export interface Settings {
  readonly hasStateAfter: boolean;
  readonly timelineLimit: number;
  readonly joinRule: string;
  readonly visibility: string;
}

/** What was before all that happens. */
export interface Beginning {
  /** Of the second and the third user, whether they are in the room. */
  readonly areIn: readonly boolean[];
  /** Of each user, whether their first sync is stored, and their clients have it. */
  readonly areSynced: readonly boolean[];
}

/** What serves all worlds of a test. */
export interface Serving {
  readonly db: Database;
  readonly sync: SyncWorld;
  readonly clock: SteppedClock;
}

/** One process over a database of its own. */
export async function startServing(): Promise<Serving & { [Symbol.asyncDispose](): Promise<void> }> {
  const db = await openTestDatabase();
  const clock = new SteppedClock();
  const sync = await SyncWorld.start(db, { clock });
  return {
    db,
    clock,
    sync,
    async [Symbol.asyncDispose]() {
      await sync[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
}

/** A response of a device is stored while an answer stands still after a statement of its own. */
export interface Meanwhile {
  readonly statement: string;
  readonly device: number;
}

interface Parts {
  readonly serving: Serving;
  readonly homeserver: ModelHomeserver;
  readonly sessions: readonly Session[];
}

/** A room with three users whose devices use the product, and all that they are shown of it. */
export class VisibilityWorld {
  readonly doers: Doers;
  readonly streams: ProductStreams;
  readonly ledger: Ledger;
  /** What somebody was shown that they may not see. */
  readonly violations: string[];
  looks = 0;
  readonly #serving: Serving;
  readonly #homeserver: ModelHomeserver;
  readonly #sessions: readonly Session[];
  readonly #clients: readonly Clients[];
  readonly #stopped = new Set<number>();
  /** All that was stored by then is in the memory of who answers. */
  #knownAt = 0;

  /** No two worlds of a database have the same number. The first user has made the room; nothing of it is stored yet. */
  static async start(serving: Serving, number: number, settings: Settings): Promise<VisibilityWorld> {
    const ledger = new Ledger();
    const violations: string[] = [];
    const homeserver = new WatchedHomeserver(number, settings.hasStateAfter);
    const note = ledger.note.bind(ledger);
    const streams = new ProductStreams(serving.db, homeserver, settings.timelineLimit, note);
    const sessions: Session[] = [];
    for (let user = 0; user < USERS; user++) sessions.push(homeserver.logIn(`case${number}user${user}`, "DEVICE"));
    for (const session of sessions) await streams.add(session);
    const doers = await Doers.createRoom(homeserver, sessions, settings);
    homeserver.onPolled = (token, body) => {
      const reader = sessions.find((session) => session.token === token)!.user.userId;
      violations.push(...deniedIn(body, doers.room.timeline, doers.room.id, reader));
    };
    return new VisibilityWorld({ serving, homeserver, sessions, doers, streams, ledger, violations });
  }

  private constructor(parts: Parts & Pick<VisibilityWorld, "doers" | "streams" | "ledger" | "violations">) {
    const { serving, homeserver, sessions, doers, streams, ledger, violations } = parts;
    this.doers = doers;
    this.streams = streams;
    this.ledger = ledger;
    this.violations = violations;
    this.#serving = serving;
    this.#homeserver = homeserver;
    this.#sessions = sessions;
    this.#clients = sessions.map(({ user, device }) => {
      const asking = { userId: user.userId as UserId, deviceId: device.deviceId as DeviceId };
      return new Clients(serving.sync, asking, doers.room.id as RoomId);
    });
  }

  userId(user: number): string {
    return this.#sessions[user]!.user.userId;
  }

  async begin({ areIn, areSynced }: Beginning): Promise<void> {
    for (const [index, isIn] of areIn.entries()) {
      if (!isIn) continue;
      await this.do({ does: "invite", by: 0, upon: index + 1, value: 0 });
      await this.do({ does: "join", by: index + 1, upon: 0, value: 0 });
    }
    for (const [user, isSynced] of areSynced.entries()) if (isSynced) await this.take(user);
    await this.caughtUp();
    for (let user = 0; user < USERS; user++) await this.sync(user, EVERYTHING);
  }

  async do(deed: Deed): Promise<string> {
    return await this.doers.do(deed);
  }

  async poll(device: number): Promise<void> {
    if (!this.#stopped.has(device)) await this.streams.poll(device);
  }

  /** What a poll that is sent now brings is stored. */
  async take(device: number): Promise<void> {
    await this.poll(device);
    await this.streams.store(device);
  }

  /** The device is not polled from now on. What is on its way may arrive. */
  stop(device: number): void {
    this.#stopped.add(device);
  }

  resume(device: number): void {
    this.#stopped.delete(device);
  }

  /** What clients of the user want of older events is fetched. */
  async fetchHistory(user: number): Promise<void> {
    if (!this.#stopped.has(user)) await fetchHistory(this.#serving.db, this.#homeserver, this.streams, user);
  }

  async caughtUp(): Promise<void> {
    await this.#serving.sync.caughtUp();
    this.#knownAt = this.ledger.now;
  }

  async restartServing(): Promise<void> {
    await this.#serving.sync.restart();
    this.#knownAt = this.ledger.now;
  }

  /** Asks as a client of the user, and judges the answer. undefined: the device has no data yet, so that its client would be held. */
  async sync(user: number, asking: Asking, meanwhile?: Meanwhile): Promise<SyncResponse | undefined> {
    const userId = this.userId(user);
    if (!this.ledger.of(userId).hasSynced) return undefined;
    this.#serving.clock.step();
    const response = await this.#answer(this.#clients[user]!.sync(asking), meanwhile);
    const { id: roomId, timeline: events } = this.doers.room;
    const judging = { reader: userId, roomId, events, ledger: this.ledger, knownAt: this.#knownAt };
    const told = judgeExtensions(judging, response.extensions);
    this.looks += told.looks;
    this.violations.push(...told.violations);
    for (const room of response.rooms) {
      const judge = new Judge(judging, room);
      judge.judge();
      this.looks += judge.looks;
      for (const { text, stateKey } of judge.violations) {
        if (stateKey === undefined || !(await this.#isContested(stateKey))) this.violations.push(text);
      }
    }
    return response;
  }

  async #answer(asking: Promise<SyncResponse>, meanwhile: Meanwhile | undefined): Promise<SyncResponse> {
    if (meanwhile === undefined) return await asking;
    const isRun = this.#serving.sync.db.hold(meanwhile.statement);
    const letGo = await Promise.race([isRun, asking.then(() => undefined)]);
    // Where the answer did without the statement, nobody else is to be held.
    if (letGo === undefined) void isRun.then((go) => go());
    await this.take(meanwhile.device);
    letGo?.();
    const [response] = await Promise.all([asking, this.#serving.sync.caughtUp()]);
    return response;
  }

  /** The homeserver is being asked for the value of a state key. */
  async #isContested(key: string): Promise<boolean> {
    const rows = await this.#serving.db.query({
      text: `SELECT FROM contests, LATERAL (SELECT body::json AS asked)
              WHERE asked ->> 'roomId' = $1 AND (asked ->> 'type') || ' ' || (asked ->> 'stateKey') = $2`,
      values: [this.doers.room.id, key],
    });
    return rows.length > 0;
  }
}

/** Tells what polls bring. */
class WatchedHomeserver extends ModelHomeserver {
  onPolled: (token: string, body: Buffer) => void = () => {};

  override async poll(token: string, since: string | undefined, filter: string): Promise<Buffer> {
    const body = await super.poll(token, since, filter);
    this.onPolled(token, body);
    return body;
  }
}

interface StreamedEvents {
  readonly events: readonly { readonly event_id: string }[];
}

interface StreamedRoom {
  readonly timeline: StreamedEvents;
  readonly state?: StreamedEvents;
  readonly "org.matrix.msc4222.state_after"?: StreamedEvents;
}

const NOTHING: StreamedRoom = { timeline: { events: [] } };

/** What the homeserver tells and the model denies: there one of them would be wrong. */
function deniedIn(body: Buffer, events: readonly TrueEvent[], roomId: string, reader: string): string[] {
  const { rooms = {} } = JSON.parse(body.toString()) as { rooms?: { join?: Record<string, StreamedRoom> } };
  const model = new VisibilityModel({ events, reader, isTold: () => true });
  // Who is out is told more than they may see, as by Synapse: what is shared, though they were never in, and what senders are now.
  const { timeline, state, ...more } = rooms.join?.[roomId] ?? NOTHING;
  const stateAfter = more["org.matrix.msc4222.state_after"];
  const told = [timeline, state, stateAfter].flatMap((part) => part?.events ?? []);
  const denied = told.filter(({ event_id }) => {
    const index = events.findIndex(({ eventId }) => eventId === event_id);
    return !model.maySee(index) && !model.mayKnow(index);
  });
  return denied.map(({ event_id }) => `the homeserver tells ${reader} of ${event_id}, which the model denies`);
}
