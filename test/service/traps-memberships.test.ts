import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { Membership } from "../../src/model/membership.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { PROFILE_NAMES } from "../support/homeserver/start.ts";
import { until, untilRow } from "../support/intake-run.ts";
import { TrapWorld } from "../support/trap-world.ts";

/** The device's client was away for longer than pollers last. */
async function sendAway({ db }: TrapWorld, { deviceId, userId }: Robot, homeserver: TrapWorld["homeserver"]) {
  const [row] = await db.query<{ device_nid: number }>({
    text: "UPDATE devices SET wanted_at = now() - interval '2 hours' WHERE device_id = $1 RETURNING device_nid",
    values: [deviceId],
  });
  await db.notify("slidecar_devices", String(row?.device_nid));
  await untilRow(db, "SELECT FROM devices WHERE device_id = $1 AND owner IS NULL", deviceId);
  while ((await homeserver.control.heldPolls(userId)) > 0) await new Promise((resolve) => setImmediate(resolve));
}

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
  afterEach(() => world.homeserver.control.clearFaults());
  afterAll(() => world[Symbol.asyncDispose]());

  /** A room of Alice's, with Bob in it. */
  const openRoom = async () => {
    roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
    await bob.join(roomId);
    await world.told(alice, bob);
    expect(await world.membership(bob, roomId)).toBe("join");
  };
  const ofBob = () => world.membership(bob, roomId);
  const agrees = async () => {
    await world.told(alice, bob);
    expect([await world.differences(alice), await world.differences(bob)]).toEqual([[], []]);
  };

  describe("an invite", () => {
    const invited = async () => {
      roomId = await alice.createRoom({ name: "Room" });
      await alice.invite(roomId, bob.userId);
      await world.told(alice, bob);
      expect(await ofBob()).toBe("invite");
    };

    test("that is rejected is gone, whatever event the homeserver tells it by", async () => {
      await invited();
      await bob.leave(roomId);
      await agrees();
      expect([await ofBob(), (await world.read(bob, roomId))?.membership]).toEqual(["leave", undefined]);
      // What the homeserver may have invented for Bob is nothing that the room knows.
      const [left] = (await alice.state(roomId)).filter((event) => event.state_key === bob.userId);
      expect(await world.current(roomId, "m.room.member", bob.userId)).toBe(left?.event_id);
    });

    test("that is taken back is gone", async () => {
      await invited();
      await alice.kick(roomId, bob.userId);
      await agrees();
      expect(await ofBob()).toBe("leave");
    });

    test("that is taken back and given again is there, and leads into the room", async () => {
      await invited();
      await alice.kick(roomId, bob.userId);
      await world.told(alice, bob);
      await alice.invite(roomId, bob.userId);
      await world.told(alice, bob);
      expect(await ofBob()).toBe("invite");
      await bob.join(roomId);
      await agrees();
      expect(await world.read(bob, roomId)).toMatchObject({ name: "Room", strippedState: undefined });
    });

    test("into a room of another server is shown by its stripped state alone", async () => {
      const name = { type: "m.room.name", state_key: "", sender: "@inviter:remote.example", content: { name: "Far" } };
      roomId = await world.homeserver.control.remoteInvite({ userId: bob.userId, strippedState: [name] });
      await world.told(alice, bob);
      const room = await world.read(bob, roomId);
      expect([await ofBob(), String(room?.strippedState)]).toEqual(["invite", expect.stringContaining('"Far"')]);
      expect(await world.current(roomId, "m.room.name")).toBeUndefined();
    });

    test.each([
      ["rejected", (room: string) => bob.leave(room)],
      [
        "taken back",
        (room: string) =>
          world.homeserver.control.retractRemoteInvite({
            roomId: room,
            userId: bob.userId,
            sender: "@inviter:remote.example",
          }),
      ],
    ])("into a room of another server that is %s is gone", async (_how, end) => {
      roomId = await world.homeserver.control.remoteInvite({ userId: bob.userId });
      await world.told(bob);
      expect(await ofBob()).toBe("invite");
      await end(roomId);
      await agrees();
      // As with a kick, who was sent away is told so; who went is not.
      const shown = (await world.read(bob, roomId))?.membership;
      expect([await ofBob(), shown === undefined || shown === Membership.leave]).toEqual(["leave", true]);
    });

    test("that was rejected while nobody polled is gone when somebody does", async () => {
      await invited();
      await sendAway(world, bob, world.homeserver);
      await bob.leave(roomId);
      await world.poll(bob);
      await agrees();
      expect(await ofBob()).toBe("leave");
    });
  });

  describe("a departure", () => {
    const ways: [string, string, (room: string) => Promise<void>][] = [
      ["leaves", "leave", (room) => bob.leave(room)],
      ["is kicked", "leave", (room) => alice.kick(room, bob.userId)],
      ["is banned", "ban", (room) => alice.ban(room, bob.userId)],
    ];

    test.each(ways)("of a user who %s is stored, and ends what they see", async (_how, expected, depart) => {
      await openRoom();
      const before = await alice.send(roomId, "before");
      await depart(roomId);
      const after = await alice.send(roomId, "after");
      await alice.setState(roomId, "m.room.name", { name: "Secret" });
      await agrees();
      expect(await ofBob()).toBe(expected);
      const shown = await world.timeline(bob, roomId);
      expect(shown).not.toContain(after);
      if (shown.length > 0) expect(shown).toContain(before);
      expect((await world.read(bob, roomId))?.name).not.toBe("Secret");
    });

    test.each(
      ways,
    )("of a user who %s while nobody polled for them is stored when somebody does", async (_how, expected, depart) => {
      await openRoom();
      await sendAway(world, bob, world.homeserver);
      await depart(roomId);
      await world.poll(bob);
      await agrees();
      expect(await ofBob()).toBe(expected);
    });

    test.each(ways)("of a user who %s and comes back begins a new stay", async (_how, _expected, depart) => {
      await openRoom();
      await alice.setState(roomId, "m.room.history_visibility", { history_visibility: "joined" });
      const before = await alice.send(roomId, "before");
      await world.told(alice, bob);
      await depart(roomId);
      const missed = await alice.send(roomId, "missed");
      await world.told(alice, bob);
      await alice.unban(roomId, bob.userId).catch(() => undefined);
      await bob.join(roomId);
      const after = await alice.send(roomId, "after");
      await agrees();
      expect(await ofBob()).toBe("join");
      const shown = await world.timeline(bob, roomId);
      expect(shown).toContain(after);
      expect(shown).not.toContain(missed);
      expect(await world.timeline(alice, roomId)).toEqual(expect.arrayContaining([before, missed, after]));
    });

    test("and return within one response begin a new stay", async () => {
      await openRoom();
      await sendAway(world, bob, world.homeserver);
      await bob.leave(roomId);
      const missed = await alice.send(roomId, "missed");
      await bob.join(roomId);
      const after = await alice.send(roomId, "after");
      await world.poll(bob);
      await agrees();
      expect(await ofBob()).toBe("join");
      expect(await world.timeline(bob, roomId)).toContain(after);
      expect(await world.timeline(alice, roomId)).toEqual(expect.arrayContaining([missed, after]));
    });
  });

  describe("what a first sync leaves out", () => {
    /** Another device of Bob's, whose first sync is stored; it has no part in what was before. */
    const otherDevice = async () => {
      const other = await world.homeserver.login(bob.userId.slice(1).split(":")[0] ?? "", `OTHER${Math.random()}`);
      await world.poll(other);
      return other;
    };

    test("is asked for: rooms that were left and invites that were rejected while nobody polled are gone", async () => {
      await openRoom();
      const stays = await alice.createRoom({ preset: "public_chat" });
      await bob.join(stays);
      const invites = [await alice.createRoom(), await alice.createRoom()];
      for (const room of invites) await alice.invite(room, bob.userId);
      const remote = await world.homeserver.control.remoteInvite({ userId: bob.userId });
      await world.told(alice, bob);
      await sendAway(world, bob, world.homeserver);
      const [rejected = "", kept = ""] = invites;
      for (const room of [roomId, rejected, remote]) await bob.leave(room);
      bob = await otherDevice();
      for (const room of [roomId, rejected, remote]) {
        await until(async () => (await world.membership(bob, room)) === "leave");
      }
      expect([await world.membership(bob, kept), await world.membership(bob, stays)]).toEqual(["invite", "join"]);
      await agrees();
    });

    test("is asked for after one that broke off: a room that it brought and that was left meanwhile is left", async () => {
      const carol = await world.homeserver.register(`carol${profile}`, `CAROL${profile}`);
      await world.homeserver.control.addRooms(carol.userId, 100);
      const first = { path: "*/sync", user: carol.userId, since: false };
      const broken = await world.homeserver.control.fault({ ...first, times: 1, effect: { cutAfterBytes: 900_000 } });
      const polling = world.poll(carol);
      await until(async () => (await broken.hits()) === 1);
      const again = await world.homeserver.control.fault({ ...first, effect: { hang: true } });
      const { room_id: left } = await untilRow<{ room_id: string }>(
        world.db,
        "SELECT room_id FROM memberships JOIN users USING (user_nid) JOIN rooms USING (room) WHERE user_id = $1",
        carol.userId,
      );
      await carol.leave(left);
      await world.homeserver.control.forgetCachedSyncs();
      await again.release();
      await again.remove();
      await polling;
      await until(async () => (await world.membership(carol, left)) === "leave");
      expect(await world.differences(carol)).toEqual([]);
    });
  });

  test("account data of a room that the user left is no return into it", async () => {
    await openRoom();
    await bob.leave(roomId);
    await world.told(alice, bob);
    await bob.tag(roomId, "m.favourite");
    await bob.roomAccountData(roomId, "org.example.note", { text: "was here" });
    await agrees();
    expect(await ofBob()).toBe("leave");
  });

  test("a knock is one where the homeserver tells of it, and an invite after it is one", async () => {
    roomId = await alice.createRoom({
      initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
      room_version: "10",
    });
    await world.told(alice);
    await bob.knock(roomId);
    await world.told(alice, bob);
    // Dendrite has no section for knocks.
    expect(await ofBob()).toBe(profile === "dendrite" ? undefined : "knock");
    await alice.invite(roomId, bob.userId);
    await world.told(alice, bob);
    expect(await ofBob()).toBe("invite");
    await bob.join(roomId);
    await agrees();
  });

  test("somebody who is ignored does not invite, and what they change of a room is its state all the same", async () => {
    await openRoom();
    await bob.accountData("m.ignored_user_list", { ignored_users: { [alice.userId]: {} } });
    await world.told(bob);
    const unheard = await alice.send(roomId, "unheard");
    const inviting = await alice.createRoom();
    await alice.invite(inviting, bob.userId);
    const renamed = await alice.setState(roomId, "m.room.name", { name: "Renamed" });
    await world.told(alice, bob);
    await untilRow(world.db, "SELECT FROM events WHERE event_id = $1", unheard);
    expect(await world.current(roomId, "m.room.name")).toBe(renamed);
    expect(await world.read(bob, inviting)).toBeUndefined();
    await bob.accountData("m.ignored_user_list", { ignored_users: {} });
    const heard = await alice.send(roomId, "heard");
    await agrees();
    expect(await world.timeline(bob, roomId)).toContain(heard);
  });
});
