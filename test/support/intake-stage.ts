// The write path against a real database: responses that tests write by hand, and what is stored of them.
import type { Source } from "../../src/intake/ingest/source.ts";
import { type WriteLane, Writer } from "../../src/intake/ingest/writer.ts";
import { LastSeen } from "../../src/intake/poller/last-seen.ts";
import { ResponseIntake, type TakenIn } from "../../src/intake/poller/response-intake.ts";
import type { DeviceId, UserId } from "../../src/model/ids.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { type ClaimedDevice, claimDevices, seeDevice } from "../../src/store/devices.ts";
import { openTestDatabase, type TestDatabase } from "./database.ts";

const HOUR_MS = 3_600_000;
/** No process has its lock: who claims next gets the device. */
const OWNER = 1;

/** One device's stream. */
export interface StageDevice {
  readonly claim: ClaimedDevice;
  readonly userId: string;
  readonly lastSeen: LastSeen;
  toldUpTo: StreamPosition | undefined;
  since: string | undefined;
  ignored: ReadonlySet<string> | undefined;
}

export interface RespondOptions extends Partial<Pick<Source, "poll" | "storedBefore">> {
  /** Default: the next of the stream's own. */
  readonly nextBatch?: string;
  /** The body comes in pieces of so many bytes. */
  readonly pieceBytes?: number;
}

export class IntakeStage implements AsyncDisposable {
  readonly db: TestDatabase;
  readonly writer: Writer;
  /** Rooms that the database refused, and what was set aside before it came to that. */
  readonly aside: string[] = [];
  /** Highest positions, as they were announced. */
  readonly announced: StreamPosition[] = [];
  readonly stored: WriteLane[] = [];
  #responses = 0;

  constructor(db: TestDatabase) {
    this.db = db;
    this.writer = new Writer({
      db,
      onPosition: (position) => this.announced.push(position),
      onStored: (lane) => this.stored.push(lane),
      onLock: () => {},
      onRoomSetAside: (roomId) => this.aside.push(roomId),
    });
  }

  static async open(): Promise<IntakeStage> {
    return new IntakeStage(await openTestDatabase());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db[Symbol.asyncDispose]();
  }

  /** A device that is claimed. */
  async device(userId: string, deviceId = "PHONE"): Promise<StageDevice> {
    const { deviceNid } = (await seeDevice(this.db, {
      userId: userId as UserId,
      deviceId: deviceId as DeviceId,
      isTokenFresh: true,
      sealToken: () => Buffer.from("sealed"),
      tokenHash: Buffer.from("hash"),
      forwardedFor: undefined,
      userAgent: undefined,
    }))!;
    const [claim] = await claimDevices(this.db, OWNER, { idleAfterMs: HOUR_MS, device: deviceNid, limit: 1 });
    if (claim === undefined) throw new Error(`${userId} ${deviceId} is claimed already`);
    return {
      claim,
      userId,
      lastSeen: new LastSeen(),
      toldUpTo: undefined,
      since: claim.since,
      ignored: undefined,
    };
  }

  /** Takes one response of the device's stream in. */
  async respond(device: StageDevice, body: object, options: RespondOptions = {}): Promise<TakenIn> {
    this.#responses += 1;
    const { nextBatch = `s${this.#responses}`, pieceBytes = Number.MAX_SAFE_INTEGER } = options;
    const storedBefore = options.storedBefore ?? this.writer.position;
    const intake = this.intake(device, options);
    const bytes = Buffer.from(JSON.stringify({ next_batch: nextBatch, ...body }));
    for (let at = 0; at < bytes.length; at += pieceBytes) await intake.write(bytes.subarray(at, at + pieceBytes));
    const taken = await intake.end();
    device.since = taken.nextBatch;
    device.toldUpTo = storedBefore;
    device.ignored = taken.ignored;
    device.lastSeen.noteAll(taken.lastSeen);
    return taken;
  }

  /** A response whose body is still to be written. */
  intake(device: StageDevice, options: RespondOptions = {}, writer = this.writer): ResponseIntake {
    const { claim, since, lastSeen, toldUpTo, ignored } = device;
    const { poll = since === undefined ? "first" : "live", storedBefore = this.writer.position } = options;
    const { userNid, userId, deviceNid } = claim;
    return new ResponseIntake(
      {
        claim,
        source: { userNid, userId, deviceNid, poll, storedBefore, toldUpTo, lastSeen: lastSeen.events },
        ignored,
        since,
        nowUs: () => Date.now() * 1000,
      },
      writer,
      { onSetAside: (what, where, reason) => this.aside.push(`${what} ${where}: ${reason}`) },
    );
  }

  /** Rows of a query, `$1` … as given. */
  rows<Row extends object = Record<string, unknown>>(text: string, ...values: readonly unknown[]): Promise<Row[]> {
    return this.db.query<Row>({ text, values });
  }

  /** A room's timeline in one line: ` | ` for a hole, ` ~ ` where a chunk continues another. */
  async line(roomId: string): Promise<string> {
    const rows = await this.rows<{ event_id: string; chunk: number; continues: boolean }>(
      `SELECT e.event_id, e.chunk, c.continues FROM events e JOIN rooms r USING (room) JOIN chunks c ON c.chunk = e.chunk
        WHERE r.room_id = $1 AND e.order_key IS NOT NULL ORDER BY e.order_key`,
      roomId,
    );
    return rows
      .map(({ event_id: eventId, chunk, continues }, index) => {
        const isSame = index === 0 || rows[index - 1]?.chunk === chunk;
        return `${isSame ? " " : continues ? " ~ " : " | "}${eventId.slice(1)}`;
      })
      .join("")
      .trimStart();
  }

  /** The event that is current for a state key. */
  async current(roomId: string, type: string, stateKey = ""): Promise<string | undefined> {
    const [row] = await this.rows<{ event_id: string }>(
      `SELECT e.event_id FROM current_state s JOIN rooms r USING (room) JOIN events e USING (nid)
        WHERE r.room_id = $1 AND s.type = $2 AND s.state_key = $3`,
      roomId,
      type,
      stateKey,
    );
    return row?.event_id;
  }

  async room(roomId: string): Promise<Record<string, unknown> | undefined> {
    return (await this.rows("SELECT * FROM rooms WHERE room_id = $1", roomId))[0];
  }

  /** A user's membership with the event ids that it comes from and begins with, and positions of its batches. */
  async membership(roomId: string, userId: string): Promise<Record<string, unknown> | undefined> {
    const [row] = await this.rows(
      `SELECT m.membership, m.sender, m.notification_count, m.highlight_count, m.heroes, n.event_id AS event,
              f.event_id AS since_event, m.since_order_key, c.position AS changed, s.position AS since, k.position AS counted,
              convert_from(m.stripped, 'UTF8') AS stripped
         FROM memberships m JOIN users u USING (user_nid) JOIN rooms r USING (room)
         LEFT JOIN events n USING (nid) LEFT JOIN events f ON f.room = m.room AND f.order_key = m.since_order_key
         LEFT JOIN changes c ON c.batch = m.batch LEFT JOIN changes s ON s.batch = m.since_batch
         LEFT JOIN changes k ON k.batch = m.counts_batch
        WHERE r.room_id = $1 AND u.user_id = $2`,
      roomId,
      userId,
    );
    return row;
  }

  /** Changes after a position: stream, flags, and for whom. */
  async changes(after: number): Promise<Record<string, unknown>[]> {
    return await this.rows(
      `SELECT c.stream, c.flags, r.room_id AS room, u.user_id AS user, d.device_id AS device
         FROM changes c LEFT JOIN rooms r USING (room) LEFT JOIN users u ON u.user_nid = c.user_nid
         LEFT JOIN devices d USING (device_nid) WHERE c.position > $1 ORDER BY c.position`,
      after,
    );
  }
}
