import type { RoomConfig, SyncRequest } from "../../../src/engine/request.ts";
import type { SyncResponse } from "../../../src/engine/response.ts";
import type { Clock } from "../../../src/lib/clock.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { config, list } from "../engine.ts";
import type { StreamUser } from "../stored-world.ts";
import type { SyncWorld } from "../sync-world.ts";

/** Nothing is waited for: neither news, nor members, nor history. */
const TIMEOUT_MS = 1;

export const WAYS = ["list", "subscription", "both"] as const;
export const WISHES = ["all", "lazy", "some"] as const;

/** Statements of an answer, after any of which it may stand still. */
export const STATEMENTS = [
  ...[
    "reader-rooms",
    "select-state",
    "select-newest",
    "select-tails",
    "select-all-members",
    "select-members",
    "select-heroes",
  ],
  ...["select-own-members", "select-deltas", "select-transaction-ids", "select-moved"],
  ...["own-receipts", "receipts-on-events", "changed-receipts", "select-typing"],
] as const;

export interface Asking {
  readonly connection: number;
  /** A connection begins. */
  readonly isNew: boolean;
  readonly way: (typeof WAYS)[number];
  readonly limit: number;
  readonly wish: (typeof WISHES)[number];
  /** The answer does not reach the client. */
  readonly isLost: boolean;
}

export const EVERYTHING: Asking = {
  connection: 0,
  isNew: false,
  way: "both",
  limit: 20,
  wish: "all",
  isLost: false,
};

const WANTED: Readonly<Record<Asking["wish"], readonly string[]>> = {
  all: ["* *", "m.room.member *"],
  lazy: ["* *", "lazy"],
  some: ["m.room.name", "m.room.topic", "lazy"],
};

const ALL_ROOMS = { lists: "all", rooms: "all" } as const;

/** A clock on which nothing has just happened whenever an answer is asked for, so that nothing is kept back. */
export class SteppedClock implements Clock {
  #aheadMs = 0;

  nowMs = (): number => systemClock.nowMs() + this.#aheadMs;

  step(): void {
    this.#aheadMs += 5_000;
  }
}

/** The clients of one device. */
export class Clients {
  readonly #serving: SyncWorld;
  readonly #user: Pick<StreamUser, "userId" | "deviceId">;
  readonly #roomId: RoomId;
  readonly #positions = new Map<number, string>();

  constructor(serving: SyncWorld, user: Pick<StreamUser, "userId" | "deviceId">, roomId: RoomId) {
    this.#serving = serving;
    this.#user = user;
    this.#roomId = roomId;
  }

  async sync({ connection, isNew, way, limit, wish, isLost }: Asking): Promise<SyncResponse> {
    const pos = isNew ? undefined : this.#positions.get(connection);
    const wanted: RoomConfig = config(limit, ...WANTED[wish]);
    const lists = way === "subscription" ? {} : { main: list([[0, 19]], wanted) };
    const subscriptions = way === "list" ? [] : [[this.#roomId, wanted] as const];
    const more: Partial<SyncRequest> = {
      connId: `connection ${connection}`,
      pos,
      timeoutMs: TIMEOUT_MS,
      lists: new Map(Object.entries(lists)),
      subscriptions: new Map(subscriptions),
      extensions: { accountData: ALL_ROOMS, receipts: ALL_ROOMS, typing: ALL_ROOMS },
    };
    const answer = await this.#serving.sync(this.#user as StreamUser, more);
    if (!isLost) this.#positions.set(connection, answer.pos);
    return answer.response;
  }
}
