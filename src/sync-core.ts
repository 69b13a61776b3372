import type { Config } from "./config/config.ts";
import { AtMostEvery } from "./lib/at-most-every.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./logging/logger.ts";
import type { Metrics } from "./metrics/metrics.ts";
import { type Change, ChangeStream } from "./model/change.ts";
import type { DeviceNid, UserNid } from "./model/ids.ts";
import type { Database } from "./store/database.ts";
import { Follower } from "./store/follower.ts";
import { Memory } from "./store/memory.ts";
import type { Secrets } from "./store/secrets.ts";
import { RecentPositions } from "./stream/recent-positions.ts";
import { Stream } from "./stream/stream.ts";
import { Acknowledgements } from "./sync/acknowledgements.ts";
import { Connections } from "./sync/connections.ts";
import { Devices } from "./sync/devices.ts";
import { History } from "./sync/history.ts";
import type { LackingDeps } from "./sync/lacking.ts";
import { MemberWishes } from "./sync/member-wishes.ts";
import { PosCodec } from "./sync/pos.ts";
import { Recalls } from "./sync/recalls.ts";
import { SyncService } from "./sync/sync-service.ts";

/** Memory for rooms' timelines and state. More: fewer reads. Less: a smaller process. */
const HOT_ROOM_BYTES = 256 * 1024 * 1024;
/** Memory for the rooms of users that are online: some 2,000 with 10,000 rooms each. More: fewer of them are read again. */
const READER_BYTES = 256 * 1024 * 1024;
/** Memory for the rooms of spaces that lists are filtered by. More: fewer reads. Less: a smaller process. */
const SPACE_BYTES = 32 * 1024 * 1024;
/** Memory for devices: some 50,000. More: fewer of them are read again. */
const DEVICE_BYTES = 32 * 1024 * 1024;

/**
 * How often a user is told of rooms while they arrive with a long first sync. Shorter: clients sort and draw their lists again
 * and again. Longer: rooms show later.
 */
const ARRIVING_MS = 1_000;

interface SyncCoreDeps {
  readonly config: Pick<Config, "sync" | "polling">;
  readonly db: Database;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How long an answer may be held for members that are being asked for, in milliseconds. */
  readonly membersWaitMs: number;
}

export interface SyncCore {
  /** To be started before requests are answered, and disposed after the last one. */
  readonly follower: Follower;
  readonly service: SyncService;
}

/** What answers sync requests from the store: memory, who keeps it up to date, and the service. */
export function createSyncCore(deps: SyncCoreDeps): SyncCore {
  const { config, db, secrets, clock, log, metrics, membersWaitMs } = deps;
  const stream = new Stream();
  const recent = new RecentPositions(clock);
  const arriving = new AtMostEvery<UserNid>(ARRIVING_MS, (user) => stream.wake(user));
  const memory = new Memory(db, {
    maxHotRoomBytes: HOT_ROOM_BYTES,
    maxReaderBytes: READER_BYTES,
    maxSpaceBytes: SPACE_BYTES,
    maxDeviceBytes: DEVICE_BYTES,
    isWaitedFor: (user) => stream.isWaitedFor(user),
  });
  const { initialWaitMs, maxTimeoutMs } = config.sync;
  const devices = new Devices({ db, stream, vault: secrets, clock }, { initialWaitMs, ...config.polling });
  const follower = new Follower({
    db,
    memory,
    clock,
    onAdvance: (position, changes) => {
      const concerned = [...memory.readers.concernedBy(changes)];
      const users = new Set(concerned.filter((user) => !memory.readers.isArriving(user)));
      recent.note(position);
      const refusedDevices = devicesOf(changes, [ChangeStream.refused]);
      for (const device of refusedDevices) devices.onRefused(device);
      const syncedDevices = devicesOf(changes, [ChangeStream.synced, ChangeStream.window]);
      stream.advance({ position, users, syncedDevices, refusedDevices });
      for (const user of concerned) if (!users.has(user)) arriving.request(user);
      metrics.streamPosition.set(position);
      metrics.roomsLoaded.set(memory.columns.size);
      metrics.usersLoaded.set(memory.readers.size);
    },
    onError: (error) => log.warn({ err: error }, "the stream could not be read and is read again"),
  });
  const service = new SyncService({
    devices,
    connections: new Connections(db, clock),
    pos: new PosCodec(secrets.posKey, secrets.formerPosKeys),
    memory,
    rooms: { db, hotRooms: memory.hotRooms },
    ...createLacking(deps, stream),
    stream,
    recent,
    wishes: new MemberWishes({
      db,
      clock,
      areKnown: (room) => memory.columns.membersKnownAt(room) !== undefined,
      onError: (error) => log.warn({ err: error }, "the pollers could not be told to read members; it is tried again"),
    }),
    acknowledgements: new Acknowledgements({ db, devices: memory.devices, stream, clock, log }),
    clock,
    log,
    metrics,
    maxTimeoutMs,
    membersWaitMs,
  });
  return { follower, service };
}

/** What brings in what answers lack. */
const createLacking = ({ config, db, clock, log, metrics }: SyncCoreDeps, stream: Stream): LackingDeps => ({
  history: new History({
    db,
    stream,
    clock,
    onWaited: (outcome) => metrics.historyWaits.inc({ outcome }),
    onError: (error) => log.warn({ err: error }, "history could not be asked for; an answer goes without"),
  }),
  recalls: new Recalls(
    {
      db,
      stream,
      clock,
      onWaited: (outcome) => metrics.recallWaits.inc({ outcome }),
      onError: (error) => log.warn({ err: error }, "rooms that a user may have left could not be asked for"),
    },
    config.sync.initialWaitMs,
  ),
});

const devicesOf = (changes: readonly Change[], streams: readonly ChangeStream[]): ReadonlySet<DeviceNid> =>
  new Set(
    changes.flatMap(({ stream, deviceNid }) =>
      streams.includes(stream) && deviceNid !== undefined ? [deviceNid] : [],
    ),
  );
