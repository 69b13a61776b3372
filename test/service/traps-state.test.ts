import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { RoomAnswer } from "../../src/engine/response.ts";
import { Membership } from "../../src/model/membership.ts";
import { DEVICES_CHANNEL } from "../../src/store/devices.ts";
import { config, list, request } from "../support/engine.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { PROFILE_NAMES } from "../support/homeserver/start.ts";
import { until, untilRow } from "../support/intake-run.ts";
import { eventsOf, roomIn } from "../support/sync-world.ts";
import { TrapWorld } from "../support/trap-world.ts";

const GAP = 30;

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let world: TrapWorld;
  let alice: Robot;
  let bob: Robot;
  let roomId: string;

  beforeAll(async () => {
    world = await TrapWorld.start(profile);
    alice = await world.user();
    bob = await world.user();
  });
  beforeEach(async () => {
    roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
    await bob.join(roomId);
    await world.told(alice, bob);
  });
  afterEach(() => world.homeserver.control.clearFaults());
  afterAll(() => world[Symbol.asyncDispose]());

  /** More happens in the room than one response of Alice's holds. */
  const gap = async () => {
    const hang = await world.homeserver.control.fault({
      path: "*/sync",
      user: alice.userId,
      times: 1,
      effect: { hang: true },
    });
    await alice.accountData("org.example.end", { roomId });
    await until(async () => (await hang.hits()) === 1);
    for (let n = 0; n < GAP; n++) await alice.send(roomId, `message ${n}`);
    // Whatever came before.
    await world.rows("UPDATE rooms SET state_compared_at = NULL");
    await hang.release();
    await hang.remove();
    await world.told(alice);
  };
  /** Alice's device is idle for long, and is back. */
  const comeBack = async () => {
    await world.rows("UPDATE users SET reconciled_at = NULL");
    await world.rows("UPDATE rooms SET state_compared_at = CASE room_id WHEN $1 THEN NULL ELSE now() END", roomId);
    await world.rows("UPDATE devices SET wanted_at = now() - interval '2 hours' WHERE device_id = $1", alice.deviceId);
    const [device] = await world.rows("SELECT device_nid FROM devices WHERE device_id = $1", alice.deviceId);
    await world.db.notify(DEVICES_CHANNEL, String(device?.device_nid));
    await untilRow(world.db, "SELECT FROM devices WHERE device_id = $1 AND owner IS NULL", alice.deviceId);
    await world.poll(alice);
  };
  /** Where state after a gap comes as a difference of states the gap is no reason to doubt it. */
  const suspect = profile === "tuwunel" ? comeBack : gap;
  const types = (answer: RoomAnswer | undefined) => answer?.requiredState.map(({ type }) => type);
  const agrees = async () => {
    await until(async () => (await world.differences(alice)).length === 0);
  };

  test("a state entry that is taken away is gone when the state is compared, for everybody who reads the room anew", async () => {
    await alice.call("PUT", `/rooms/${encodeURIComponent(roomId)}/state/m.room.topic/`, { topic: "Topic" });
    await world.told(alice, bob);
    expect(types(await world.read(bob, roomId))).toContain("m.room.topic");
    await world.homeserver.control.resetState(roomId, "m.room.topic", "");
    await world.homeserver.control.resetState(roomId, "m.room.name", "");
    await suspect();
    await agrees();
    const answer = await world.read(bob, roomId);
    expect(types(answer)).not.toContain("m.room.topic");
    expect([types(answer)?.includes("m.room.name"), answer?.name]).toEqual([false, undefined]);
  });

  test("a user whose membership is taken away is out of the room when the state is compared as another user", async () => {
    const everything = request({ all: list([[0, 99]], config(50, "* *")) });
    const { pos } = await world.ask(bob, everything);
    await world.homeserver.control.resetState(roomId, "m.room.member", bob.userId);
    await alice.call("PUT", `/rooms/${encodeURIComponent(roomId)}/state/m.room.topic/`, { topic: "not for Bob" });
    const meanwhile = await alice.send(roomId, "not for Bob");
    await world.told(alice);
    await suspect();
    await until(async () => (await world.membership(bob, roomId)) === "leave");
    const departed = roomIn(await world.ask(bob, { ...everything, pos }), roomId);
    expect(departed?.membership).toBe(Membership.leave);
    expect(eventsOf(departed) ?? []).not.toContain(meanwhile);
    const secret = await alice.send(roomId, "not for Bob");
    await world.told(alice);
    expect(await world.timeline(bob, roomId)).not.toContain(secret);
    expect(types(await world.read(bob, roomId)) ?? []).not.toContain("m.room.topic");
    expect(await world.timeline(alice, roomId)).toContain(secret);
  });
});
