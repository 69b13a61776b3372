// A homeserver of one kind, the pollers before it, and what readers are answered from what these stored.
import type { SyncRequest } from "../../src/engine/request.ts";
import type { RoomAnswer } from "../../src/engine/response.ts";
import type { DeviceId, DeviceNid, RoomId, UserId, UserNid } from "../../src/model/ids.ts";
import { Membership } from "../../src/model/membership.ts";
import { STREAM_CHANNEL } from "../../src/store/publish.ts";
import { openTestDatabase, type TestDatabase } from "./database.ts";
import { config, list, request } from "./engine.ts";
import type { JsonObject } from "./homeserver/json.ts";
import type { Login, Robot } from "./homeserver/robot.ts";
import { type Homeserver, type ProfileName, startHomeserver } from "./homeserver/start.ts";
import { type IntakeRun, startIntake, untilRow, want } from "./intake-run.ts";
import { eventsOf, roomIn, SyncWorld, type SyncWorldOptions } from "./sync-world.ts";

let made = 0;

export class TrapWorld implements AsyncDisposable {
  readonly homeserver: Homeserver & AsyncDisposable;
  readonly db: TestDatabase;
  readonly intake: IntakeRun;
  /** Of the devices that are polled. */
  readonly tokens: Set<string>;
  readonly #reader: SyncWorld;

  private constructor(parts: Pick<TrapWorld, "homeserver" | "db" | "intake" | "tokens">, reader: SyncWorld) {
    this.homeserver = parts.homeserver;
    this.db = parts.db;
    this.intake = parts.intake;
    this.tokens = parts.tokens;
    this.#reader = reader;
  }

  static async start(profile: ProfileName, reader: SyncWorldOptions = {}): Promise<TrapWorld> {
    const [db, homeserver] = await Promise.all([openTestDatabase(), startHomeserver({ profile })]);
    const tokens = new Set<string>();
    const openToken = (sealed: Buffer): string => {
      const token = String(sealed);
      // Readers seal tokens of their own, with which the pollers have nothing to do.
      if (!tokens.has(token)) throw new Error("a reader's token");
      return token;
    };
    // As the pollers' process does.
    const onPosition = (position: number) => void db.notify(STREAM_CHANNEL, String(position)).catch(() => undefined);
    const intake = await startIntake(db, homeserver.url, { limits: { idleMs: 500 }, openToken, onPosition });
    return new TrapWorld({ homeserver, db, intake, tokens }, await SyncWorld.start(db, reader));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader[Symbol.asyncDispose]();
    await this.intake[Symbol.asyncDispose]();
    await this.homeserver[Symbol.asyncDispose]();
    await this.db[Symbol.asyncDispose]();
  }

  /** Somebody whom Slidecar does not know. */
  async stranger(): Promise<Robot> {
    made += 1;
    return await this.homeserver.register(`stranger${made}`, `STRANGER${made}`);
  }

  /** Somebody whose device is polled, waiting for news. */
  async user(): Promise<Robot> {
    made += 1;
    const robot = await this.homeserver.register(`user${made}`, `DEVICE${made}`);
    await this.poll(robot);
    return robot;
  }

  /** From now on the device is polled; resolves when its first sync is stored. */
  async poll(login: Login): Promise<void> {
    this.tokens.add(login.token);
    await want(this.db, login);
    await untilRow(this.db, "SELECT FROM devices WHERE device_id = $1 AND is_synced", login.deviceId);
    await this.homeserver.control.untilPollsHeld(1, login.userId);
  }

  /** Everything that the homeserver tells the user up to now is stored. */
  async told(...robots: readonly Robot[]): Promise<void> {
    for (const robot of robots) {
      made += 1;
      await robot.accountData("org.example.mark", { mark: made });
      await untilRow(
        this.db,
        `SELECT FROM account_data JOIN users USING (user_nid)
          WHERE user_id = $1 AND type = 'org.example.mark' AND convert_from(body, 'UTF8')::json->'content'->>'mark' = $2`,
        robot.userId,
        String(made),
      );
    }
  }

  async rows<Row extends object = JsonObject>(text: string, ...values: readonly unknown[]): Promise<Row[]> {
    return await this.db.query<Row>({ text, values });
  }

  /** What is stored of a user's membership; undefined: nothing. */
  async membership({ userId }: Login, roomId: string): Promise<string | undefined> {
    const [row] = await this.rows<{ membership: Membership }>(
      `SELECT membership FROM memberships JOIN users USING (user_nid) JOIN rooms USING (room)
        WHERE user_id = $1 AND room_id = $2`,
      userId,
      roomId,
    );
    return Object.entries(Membership).find(([, value]) => value === row?.membership)?.[0];
  }

  /** The current event of a state key as it is stored. */
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

  /** What the homeserver says of a user's rooms and their state that is not what is stored. Members may be unknown. */
  async differences(robot: Robot): Promise<string[]> {
    const { joined_rooms: joined } = (await robot.call("GET", "/joined_rooms")) as { joined_rooms: string[] };
    const stored = await this.rows<{ room_id: string }>(
      `SELECT room_id FROM memberships JOIN users USING (user_nid) JOIN rooms USING (room)
        WHERE user_id = $1 AND membership = $2`,
      robot.userId,
      Membership.join,
    );
    const rooms = new Set(stored.map((row) => row.room_id));
    const missing = joined.filter((roomId) => !rooms.has(roomId)).map((roomId) => `${roomId} is missing`);
    const tooMany = [...rooms].filter((roomId) => !joined.includes(roomId)).map((roomId) => `${roomId} is too many`);
    const state = await Promise.all(joined.map((roomId) => this.#stateDifferences(robot, roomId)));
    return [...missing, ...tooMany, ...state.flat()];
  }

  async #stateDifferences(robot: Robot, roomId: string): Promise<string[]> {
    const key = (type: string, stateKey: string) => `${roomId} ${type} ${stateKey}`.trimEnd();
    const upstream = (await robot.state(roomId)).map((event): [string, string] => [
      key(event.type, event.state_key ?? ""),
      event.event_id,
    ]);
    const rows = await this.rows<{ type: string; state_key: string; event_id: string }>(
      `SELECT s.type, s.state_key, e.event_id FROM current_state s JOIN rooms r USING (room) JOIN events e USING (nid)
        WHERE r.room_id = $1`,
      roomId,
    );
    const stored = new Map(rows.map((row) => [key(row.type, row.state_key), row.event_id]));
    const wrong = upstream.filter(([each, eventId]) => {
      const isUnknownMember = each.includes(" m.room.member ") && !stored.has(each);
      return stored.get(each) !== eventId && !isUnknownMember;
    });
    const known = new Set(upstream.map(([each]) => each));
    const gone = [...stored.keys()].filter((each) => !known.has(each));
    return [...wrong.map(([each]) => `${each} differs`), ...gone.map((each) => `${each} is gone`)];
  }

  /** What a new connection of the device is answered about a room; undefined: it is in no list. */
  async read(robot: Login, roomId: string): Promise<RoomAnswer | undefined> {
    return roomIn(await this.ask(robot, request({ all: list([[0, 99]], config(50, "* *")) })), roomId);
  }

  /** What a new connection of the device is answered about a room that it subscribes to with so many events. */
  async subscribed(robot: Login, roomId: string, timelineLimit: number): Promise<RoomAnswer | undefined> {
    const subscriptions = new Map([[roomId as RoomId, config(timelineLimit, "m.room.create")]]);
    return roomIn(await this.ask(robot, request({}, subscriptions)), roomId);
  }

  /** Event ids of a room's timeline in such an answer. */
  async timeline(robot: Login, roomId: string): Promise<readonly string[]> {
    return eventsOf(await this.read(robot, roomId)) ?? [];
  }

  /** As a client of the device asks, the process that this world has or another one. */
  async ask(
    { userId, deviceId }: Login,
    asked: SyncRequest,
    reader = this.#reader,
  ): Promise<Awaited<ReturnType<SyncWorld["sync"]>>> {
    const [row] = await this.rows<{ user_nid: UserNid; device_nid: DeviceNid }>(
      "SELECT user_nid, device_nid FROM devices JOIN users USING (user_nid) WHERE user_id = $1 AND device_id = $2",
      userId,
      deviceId,
    );
    if (row === undefined) throw new Error(`${userId} ${deviceId} is not known`);
    await reader.caughtUp();
    return await reader.sync(
      {
        userNid: row.user_nid,
        userId: userId as UserId,
        deviceNid: row.device_nid,
        deviceId: deviceId as DeviceId,
      },
      asked,
    );
  }
}
