// The read side of one process over a test database: memory, who keeps it up to date, and the stream.

import type { Clock } from "../../src/lib/clock.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { Change } from "../../src/model/change.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { selectHead } from "../../src/store/changes.ts";
import type { Database } from "../../src/store/database.ts";
import { Follower } from "../../src/store/follower.ts";
import { Memory, type MemoryOptions } from "../../src/store/memory.ts";
import { until } from "./until.ts";

export interface ReadProcess extends AsyncDisposable {
  readonly memory: Memory;
  readonly follower: Follower;
  readonly errors: Error[];
  /** Changes by turn of the follower. */
  readonly turns: (readonly Change[])[];
  /** Follows until everything that is stored now is in memory. */
  caughtUp(): Promise<StreamPosition>;
}

const PLENTY_BYTES = 64 * 1024 * 1024;

/** `db` is what it reads with. */
export async function startReadProcess(
  db: Database,
  options: Partial<MemoryOptions> & { readonly clock?: Clock } = {},
): Promise<ReadProcess> {
  const { clock = systemClock, ...budgets } = options;
  const memory = new Memory(db, {
    maxHotRoomBytes: PLENTY_BYTES,
    maxReaderBytes: PLENTY_BYTES,
    maxSpaceBytes: PLENTY_BYTES,
    maxDeviceBytes: PLENTY_BYTES,
    isWaitedFor: () => false,
    ...budgets,
  });
  const errors: Error[] = [];
  const turns: (readonly Change[])[] = [];
  const follower = new Follower({
    db,
    memory,
    clock,
    onAdvance: (_position, changes) => turns.push(changes),
    onError: (error) => errors.push(error),
  });
  await follower.start();
  return {
    memory,
    follower,
    errors,
    turns,
    async caughtUp() {
      const head = await selectHead(db);
      follower.wake();
      await until(() => follower.position >= head);
      return follower.position;
    },
    [Symbol.asyncDispose]: () => follower[Symbol.asyncDispose](),
  };
}
