import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import type { RoomConfig, SyncRequest } from "../../src/engine/request.ts";
import type { RoomAnswer } from "../../src/engine/response.ts";
import type { RoomId } from "../../src/model/ids.ts";
import { Membership } from "../../src/model/membership.ts";
import { config, list, request } from "../support/engine.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { PROFILE_NAMES } from "../support/homeserver/start.ts";
import { until } from "../support/intake-run.ts";
import { eventsOf, roomIn, type SyncWorld } from "../support/sync-world.ts";
import { TrapWorld } from "../support/trap-world.ts";

/** Nobody waits so long: what ends a poll that may is always something else. */
const LONG_MS = 30_000;
/** More than anybody is given in an hour. */
const MANY = 500;
const IN_HOUR = 60;

type Answer = Awaited<ReturnType<SyncWorld["sync"]>>;

const wanted = config(3, "m.room.name", "m.room.topic", "m.room.member *");
const subscribing = (...rooms: readonly string[]): SyncRequest => subscribingAs(wanted, ...rooms);
const subscribingAs = (as: RoomConfig, ...rooms: readonly string[]): SyncRequest =>
  request({}, new Map(rooms.map((roomId) => [roomId as RoomId, as])));
const withList = (asked: SyncRequest): SyncRequest => ({ ...asked, ...{ lists: request({ all: list("all") }).lists } });

const textOf = (room: RoomAnswer | undefined): string =>
  JSON.stringify(room, (_key, value) => (value?.type === "Buffer" ? Buffer.from(value.data).toString() : value));

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let world: TrapWorld;
  /** Whose stream tells of their rooms all the time. */
  let alice: Robot;
  /** tuwunel shows nothing of a room to who is not in it. */
  const isShown = profile !== "tuwunel";

  beforeAll(async () => {
    world = await TrapWorld.start(profile, { initialWaitMs: 5_000 });
    alice = await world.user();
  });
  afterEach(() => world.homeserver.control.clearFaults());
  afterAll(() => world[Symbol.asyncDispose]());

  /** What was asked for in a user's name of rooms, or of something else. */
  const asked = async (robot: Robot, path = "/rooms/") => {
    const all = await world.homeserver.control.requests(path, robot.userId);
    return all.filter(({ method }) => method === "GET");
  };
  const recalls = (outcome: string) => world.intake.metric("slidecar_recalls_total", { outcome });

  /** A room that somebody left while nobody polled for them, and that goes on without them. */
  const leftRoom = async (owner: Robot, options: { readonly visibility?: string } = {}) => {
    const leaver = await world.stranger();
    const roomId = await owner.createRoom({ preset: "public_chat", name: "then", topic: "then" });
    const content = { history_visibility: options.visibility ?? "shared" };
    await owner.setState(roomId, "m.room.history_visibility", content);
    const unheard = await owner.send(roomId, "unheard");
    await leaver.join(roomId);
    const last = await owner.send(roomId, "heard");
    await leaver.leave(roomId);
    const [leave] = (await owner.state(roomId)).filter(({ state_key: key }) => key === leaver.userId);
    await owner.setState(roomId, "m.room.name", { name: "secret" });
    await owner.setState(roomId, "m.room.topic", { topic: "secret" });
    await owner.send(roomId, "secret");
    await world.poll(leaver);
    return { leaver, roomId, unheard, last, leave: leave!.event_id };
  };

  const expectLeft = (answer: Answer, { roomId, last, leave }: Awaited<ReturnType<typeof leftRoom>>) => {
    const room = roomIn(answer, roomId);
    if (!isShown) return expect(room).toBeUndefined();
    expect([room?.membership, room?.isInitial, room?.name]).toEqual([Membership.leave, true, "then"]);
    expect(eventsOf(room)?.slice(-2)).toEqual([last, leave]);
    expect(room?.timeline?.numLive).toBe(0);
    expect(room?.requiredState.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["m.room.name", "m.room.topic"]),
    );
    expect(textOf(room)).not.toContain("secret");
  };

  test.each([
    ["that nobody else has", () => world.stranger()],
    ["that others are in", async () => alice],
  ])("a room %s is shown as it was to who subscribes to it and left it long ago", async (_name, owner) => {
    const left = await leftRoom(await owner());
    await world.told(alice);
    const { leaver, roomId } = left;
    expect(await world.membership(leaver, roomId)).toBeUndefined();
    const answer = await world.ask(leaver, subscribing(roomId));
    expectLeft(answer, left);
    expect(roomIn(answer, roomId)?.timeline?.limited).toBe(isShown ? true : undefined);
    expect(await world.membership(leaver, roomId)).toBe(isShown ? "leave" : undefined);
    const known = (await asked(leaver)).length;
    expectLeft(await world.ask(leaver, subscribing(roomId)), left);
    expect((await asked(leaver)).length).toBe(known);
    expect(await world.differences(alice)).toEqual([]);
  });

  test("scrolling back from it goes on where it begins", async () => {
    if (!isShown) return expect(isShown).toBe(false);
    const { leaver, roomId, leave } = await leftRoom(alice);
    const room = roomIn(await world.ask(leaver, subscribing(roomId)), roomId);
    const { chunk } = await leaver.messages(roomId, { from: String(room?.timeline?.prevBatch), limit: "100" });
    expect(chunk.map((event) => event.event_id)).toContain(leave);
    expect(chunk.at(-1)?.type).toBe("m.room.create");
  });

  test("what its user was there for is shown, whatever came before is not, where the room is for members", async () => {
    const left = await leftRoom(await world.stranger(), { visibility: "joined" });
    const whole = config(20, "m.room.name", "m.room.topic");
    const answer = await world.ask(left.leaver, subscribingAs(whole, left.roomId));
    expectLeft(answer, left);
    expect(eventsOf(roomIn(answer, left.roomId)) ?? []).not.toContain(left.unheard);
  });

  test("is in no list, neither on a connection that waits nor on a new one", async () => {
    const left = await leftRoom(alice);
    const { leaver, roomId } = left;
    const begun = await world.ask(leaver, withList(subscribing()));
    expect(begun.response.lists.get("all")?.count).toBe(0);
    const lists = withList(subscribing());
    const waiting = world.ask(leaver, { ...lists, connId: "other", timeoutMs: 0 });
    const pos = (await waiting).pos;
    const shown = await world.ask(leaver, {
      ...withList(subscribing(roomId)),
      pos: begun.pos,
      timeoutMs: isShown ? LONG_MS : 0,
    });
    expectLeft(shown, left);
    for (const answer of [
      shown,
      await world.ask(leaver, { ...lists, connId: "other", pos }),
      await world.ask(leaver, lists),
    ]) {
      expect(answer.response.lists.get("all")?.count).toBe(0);
    }
  });

  test("goes on as any other when its user comes back", async () => {
    const { leaver, roomId } = await leftRoom(alice);
    // Were the departure told by another stream after the return, the room would be hidden until the homeserver was asked.
    await world.told(alice);
    const { pos } = await world.ask(leaver, withList(subscribing(roomId)));
    await leaver.join(roomId);
    await world.told(leaver);
    const room = roomIn(await world.ask(leaver, { ...withList(subscribing(roomId)), pos }), roomId);
    expect([room?.membership, room?.isInitial, room?.name]).toEqual([Membership.join, true, "secret"]);
    await leaver.leave(roomId);
    await world.told(leaver);
    expect(eventsOf(roomIn(await world.ask(leaver, subscribing(roomId)), roomId))?.at(-1)).not.toBeUndefined();
    expect(await world.membership(leaver, roomId)).toBe("leave");
  });

  test("asks for nothing by a sync of its own, which could take messages of the device", async () => {
    const { leaver, roomId } = await leftRoom(alice);
    await world.ask(leaver, subscribing(roomId));
    const whole = (await asked(leaver, "/sync")).filter(({ query }) => query.since === undefined);
    expect(whole).toHaveLength(1);
  });

  describe("nothing comes, and nothing is asked for twice,", () => {
    const expectNothing = async (robot: Robot, roomId: string, requests: number) => {
      expect((await world.ask(robot, subscribing(roomId))).response.rooms).toEqual([]);
      expect(await asked(robot)).toHaveLength(requests);
      expect((await world.ask(robot, subscribing(roomId))).response.rooms).toEqual([]);
      expect(await asked(robot)).toHaveLength(requests);
      expect(await world.membership(robot, roomId)).toBeUndefined();
    };
    const outsider = async (prepare: (robot: Robot, roomId: string) => Promise<unknown>, options = {}) => {
      const robot = await world.stranger();
      const roomId = await alice.createRoom({ preset: "private_chat", name: "secret", ...options });
      await prepare(robot, roomId);
      await world.poll(robot);
      return { robot, roomId };
    };

    test("of a room that its subscriber never was in", async () => {
      const { robot, roomId } = await outsider(async () => undefined);
      await expectNothing(robot, roomId, 1);
    });

    test("of a room that does not exist", async () => {
      const { robot } = await outsider(async () => undefined);
      await expectNothing(robot, "!nothing:example.org", 1);
    });

    test("of a room that the world may read, to who never was in it", async () => {
      const visibility = {
        type: "m.room.history_visibility",
        state_key: "",
        content: { history_visibility: "world_readable" },
      };
      const { robot, roomId } = await outsider(async () => undefined, { initial_state: [visibility] });
      await expectNothing(robot, roomId, 1);
    });

    test("of a room that its subscriber has forgotten", async () => {
      const { robot, roomId } = await outsider(async (leaver, roomId) => {
        await alice.invite(roomId, leaver.userId);
        await leaver.join(roomId);
        await leaver.leave(roomId);
        await leaver.forget(roomId);
      });
      await expectNothing(robot, roomId, 1);
    });

    test("of a room that its subscriber was only invited to", async () => {
      const { robot, roomId } = await outsider(async (invited, roomId) => {
        await alice.invite(roomId, invited.userId);
        await invited.leave(roomId);
      });
      expect((await world.ask(robot, subscribing(roomId))).response.rooms).toEqual([]);
      const requests = (await asked(robot)).length;
      await expectNothing(robot, roomId, requests);
    });
  });

  test("of a room that its subscriber was banned from nothing is asked for that the stream told", async () => {
    const robot = await world.stranger();
    const roomId = await alice.createRoom({ preset: "public_chat", name: "then" });
    await robot.join(roomId);
    await alice.ban(roomId, robot.userId);
    await alice.setState(roomId, "m.room.name", { name: "secret" });
    await world.poll(robot);
    const isTold = profile === "synapse";
    const room = roomIn(await world.ask(robot, subscribing(roomId)), roomId);
    expect(room?.membership).toBe(isTold ? Membership.ban : undefined);
    expect(textOf(room) ?? "").not.toContain("secret");
    expect(await asked(robot)).toHaveLength(isTold ? 0 : 1);
  });

  test("a room that its user was sent away from stands in lists where the stream tells of it, and there alone", async () => {
    const robot = await world.stranger();
    const roomId = await alice.createRoom({ preset: "public_chat", name: "then" });
    await robot.join(roomId);
    await alice.kick(roomId, robot.userId);
    await alice.send(roomId, "secret");
    await world.poll(robot);
    const isTold = profile === "synapse";
    for (const pos of [undefined, (await world.ask(robot, withList(subscribing(roomId)))).pos]) {
      const answer = await world.ask(robot, { ...withList(subscribing(roomId)), pos });
      expect(answer.response.lists.get("all")?.count).toBe(isTold ? 1 : 0);
      if (pos !== undefined) continue;
      expect(roomIn(answer, roomId)?.membership).toBe(isShown ? Membership.leave : undefined);
      expect(textOf(roomIn(answer, roomId)) ?? "").not.toContain("secret");
    }
  });

  test("who subscribes to hundreds of rooms of others makes few requests of it, one at a time", async () => {
    const robot = await world.user();
    const rooms = Array.from({ length: MANY }, (_, at) => `!foreign${at}:example.org`);
    for (let round = 0; round < 10; round += 1) await world.ask(robot, subscribing(...rooms));
    const settled = await world.rows(
      "SELECT FROM recalls JOIN users USING (user_nid) WHERE user_id = $1 AND is_settled",
      robot.userId,
    );
    expect(settled).toHaveLength(IN_HOUR);
    expect(await asked(robot)).toHaveLength(IN_HOUR);
    // Another user is not held up by it.
    const left = await leftRoom(alice);
    expectLeft(await world.ask(left.leaver, subscribing(left.roomId)), left);
  });

  test("that cannot be asked for is answered without, and is not asked for with every request", async () => {
    const { leaver, roomId } = await leftRoom(alice);
    const failed = await recalls("failed");
    const fault = await world.homeserver.control.fault({
      path: "*/state/*",
      user: leaver.userId,
      effect: { reply: { status: 500, body: {} } },
    });
    for (let round = 0; round < 3; round += 1) {
      expect((await world.ask(leaver, subscribing(roomId))).response.rooms).toEqual([]);
    }
    expect(await fault.hits()).toBe(1);
    expect(await recalls("failed")).toBe(failed + 1);
  });

  test("a room that is there is not held back for one that is asked for, which follows", async () => {
    const left = await leftRoom(alice);
    const { leaver, roomId } = left;
    const joined = await leaver.createRoom({ name: "joined" });
    await world.told(leaver);
    const hang = await world.homeserver.control.fault({
      path: `*${roomId.slice(1).split(":")[0]}*/state/*`,
      user: leaver.userId,
      times: 1,
      effect: { hang: true },
    });
    const first = await world.ask(leaver, subscribing(joined, roomId));
    expect(first.response.rooms.map((room) => room.roomId)).toEqual([joined]);
    const second = world.ask(leaver, {
      ...subscribing(joined, roomId),
      pos: first.pos,
      timeoutMs: isShown ? LONG_MS : 0,
    });
    await until(async () => (await hang.hits()) === 1);
    await hang.release();
    await hang.remove();
    expectLeft(await second, left);
  });
});
