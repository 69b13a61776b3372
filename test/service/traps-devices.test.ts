import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import type { Robot } from "../support/homeserver/robot.ts";
import { PROFILE_NAMES } from "../support/homeserver/start.ts";
import { until } from "../support/intake-run.ts";
import { TrapWorld } from "../support/trap-world.ts";

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let world: TrapWorld;

  beforeAll(async () => {
    world = await TrapWorld.start(profile);
  });
  afterEach(() => world.homeserver.control.clearFaults());
  afterAll(() => world[Symbol.asyncDispose]());

  const inbox = async ({ deviceId }: Robot) => {
    const rows = await world.rows<{ body: Buffer }>(
      `SELECT m.body FROM to_device_messages m JOIN devices USING (device_nid) WHERE device_id = $1 ORDER BY m.sequence`,
      deviceId,
    );
    return rows.map(({ body }) => JSON.parse(String(body)).content.n);
  };
  const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
  const sendAll = async (sender: Robot, { userId, deviceId }: Robot, count: number) => {
    for (const n of numbers(count)) await sender.sendToDevice(userId, deviceId, { n });
  };

  test("every to-device message is stored once and in order, though more wait than one response holds", async () => {
    const [sender, robot] = [await world.stranger(), await world.stranger()];
    await sendAll(sender, robot, 230);
    await world.poll(robot);
    await until(async () => (await inbox(robot)).length >= 230);
    await world.told(robot);
    expect(await inbox(robot)).toEqual(numbers(230));
    // Only what is stored was acknowledged; now all of it is.
    await until(async () => JSON.stringify(await world.homeserver.control.stats()).includes(robot.userId) === false);
  });

  test.each([
    ["cut in its body", { cutAfterBytes: 150 }],
    ["reset before its first byte", { resetAfterBytes: 0 }],
    ["reset in its body", { resetAfterBytes: 150 }],
  ])("to-device messages of a response that is %s come once and in order with its repetition", async (_how, effect) => {
    const [sender, robot] = [await world.stranger(), await world.user()];
    const fault = await world.homeserver.control.fault({
      path: "*/sync",
      user: robot.userId,
      times: 1,
      effect,
    });
    // The poll that is held was met by no fault; what it brings is the first message.
    await sendAll(sender, robot, 1);
    await until(async () => (await inbox(robot)).length === 1);
    for (const n of [1, 2, 3]) await sender.sendToDevice(robot.userId, robot.deviceId, { n });
    await world.told(robot);
    expect(await fault.hits()).toBe(1);
    expect(await inbox(robot)).toEqual(numbers(4));
  });

  test("messages to other devices of the user are not its own", async () => {
    const [sender, robot] = [await world.stranger(), await world.user()];
    const tablet = await world.homeserver.login(robot.userId.slice(1).split(":")[0]!, `TABLET${robot.deviceId}`);
    await world.poll(tablet);
    await sender.sendToDevice(robot.userId, tablet.deviceId, { n: 1 });
    await sender.sendToDevice(robot.userId, "*", { n: 2 });
    await world.told(robot);
    await until(async () => (await inbox(tablet)).length === 2);
    expect([await inbox(robot), await inbox(tablet)]).toEqual([[2], [1, 2]]);
  });

  const deviceLists = async ({ deviceId }: Robot) => {
    const rows = await world.rows<{ user_id: string; has_left: boolean }>(
      `SELECT l.user_id, l.has_left FROM device_list_log l JOIN devices d USING (device_nid)
        WHERE d.device_id = $1 ORDER BY l.batch`,
      deviceId,
    );
    return rows.map((row) => `${row.user_id} ${row.has_left ? "left" : "changed"}`);
  };

  test("whose devices changed and who is gone is logged in order, for an encrypted room", async () => {
    const [robot, friend] = [await world.user(), await world.stranger()];
    const roomId = await robot.createRoom({ preset: "public_chat" });
    await robot.setState(roomId, "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" });
    await friend.join(roomId);
    await world.told(robot);
    await friend.uploadKeys({ oneTimeKeys: 1 });
    await world.told(robot);
    expect((await deviceLists(robot)).at(-1)).toBe(`${friend.userId} changed`);
    await friend.leave(roomId);
    await world.told(robot);
    expect((await deviceLists(robot)).at(-1)).toBe(`${friend.userId} left`);
  });

  test("counts of keys are those of the last response", async () => {
    const [robot, other] = [await world.user(), await world.stranger()];
    const keys = async () => {
      const [row] = await world.rows<{ one_time_keys: Buffer; fallback_keys: Buffer }>(
        "SELECT one_time_keys, fallback_keys FROM devices WHERE device_id = $1",
        robot.deviceId,
      );
      return [JSON.parse(String(row?.one_time_keys)), JSON.parse(String(row?.fallback_keys))];
    };
    await robot.uploadKeys({ oneTimeKeys: 2, hasFallback: true });
    await world.told(robot);
    await world.told(robot);
    expect(await keys()).toEqual([{ signed_curve25519: 2 }, ["signed_curve25519"]]);
    for (let claimed = 0; claimed < 3; claimed++) await other.claimKey(robot.userId, robot.deviceId);
    await world.told(robot);
    await world.told(robot);
    expect(await keys()).toEqual([{ signed_curve25519: 0 }, []]);
  });
});
