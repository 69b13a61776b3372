import { describe, expect, test } from "@jest/globals";
import type { SyncBody } from "../support/homeserver/robot.ts";
import { startHomeserver } from "../support/homeserver/start.ts";

const DAY_MS = 24 * 60 * 60_000;

/** An account as texts and types, without what differs from run to run: times. */
function outline(body: SyncBody): unknown {
  return Object.entries(body.rooms!.join!).map(([roomId, room]) => [
    roomId,
    room.timeline.events.map(({ event_id, sender, content }) => [event_id, sender, content.body]),
    room.state.events.length,
  ]);
}

describe("the lively account of the scripted homeserver", () => {
  test("has the rooms that were asked for, of every kind, with a month of history", async () => {
    await using homeserver = await startHomeserver({ rooms: 120, seed: 1 });
    expect(homeserver.account).toMatchObject({ userId: "@demo:example.org" });
    const startMs = Date.now();
    const body = await homeserver.demo().sync({ filter: { room: { state: { lazy_load_members: true } } } });
    const rooms = Object.values(body.rooms!.join!);
    expect(rooms).toHaveLength(120);
    expect(Object.keys(body.rooms!.invite!)).toHaveLength(3);
    const types = new Set(
      rooms.flatMap(({ state, timeline }) => [...state.events, ...timeline.events].map(({ type }) => type)),
    );
    const furniture = ["m.room.name", "m.room.topic", "m.room.avatar", "m.room.encryption", "m.space.child"];
    expect([...types]).toEqual(expect.arrayContaining([...furniture, "m.room.message", "m.room.encrypted"]));
    expect(rooms.some(({ summary }) => (summary["m.heroes"] as string[] | undefined)?.length === 1)).toBe(true);
    expect(rooms.some(({ ephemeral }) => ephemeral.events.some(({ type }) => type === "m.receipt"))).toBe(true);
    expect(rooms.some(({ account_data }) => account_data.events.some(({ type }) => type === "m.tag"))).toBe(true);
    expect(body.account_data!.events.map(({ type }) => type)).toEqual(["m.direct", "m.push_rules"]);
    const ages = rooms.flatMap(({ timeline }) => timeline.events.map((event) => startMs - event.origin_server_ts));
    expect(Math.max(...ages)).toBeLessThan(32 * DAY_MS);
    expect(Math.max(...ages)).toBeGreaterThan(7 * DAY_MS);
  });

  test("is the same for the same seed, in what is there and in what happens", async () => {
    const run = async (seed: number) => {
      await using homeserver = await startHomeserver({ rooms: 30, seed });
      const demo = homeserver.demo();
      const first = await demo.sync();
      await homeserver.control.liven({ events: 50 });
      return [outline(first), outline(await demo.sync({ since: first.next_batch }))];
    };
    const [one, same, other] = [await run(7), await run(7), await run(8)];
    expect(same).toEqual(one);
    expect(other).not.toEqual(one);
  });

  test("goes on by itself at a rate, and stops when told", async () => {
    await using homeserver = await startHomeserver({ rooms: 10, eventsPerSecond: 50 });
    const demo = homeserver.demo();
    let { next_batch } = await demo.sync();
    const types = new Set<string>();
    while (!types.has("m.reaction") || !types.has("m.room.message")) {
      const body = await demo.sync({ since: next_batch, timeout: 10_000 });
      for (const room of Object.values(body.rooms?.join ?? {})) {
        for (const { type } of room.timeline.events) types.add(type);
      }
      next_batch = body.next_batch;
    }
    await homeserver.control.liven({ eventsPerSecond: 0 });
    const { next_batch: last } = await demo.sync({ since: next_batch, timeout: 1 });
    // Nothing comes: the only way to see that is to wait a little.
    expect((await demo.sync({ since: last, timeout: 300 })).next_batch).toBe(last);
  });

  test("further rooms like those can be made for any user", async () => {
    await using homeserver = await startHomeserver();
    const alice = await homeserver.register("alice");
    const roomIds = await homeserver.control.addRooms(alice.userId, 25);
    expect(Object.keys((await alice.sync()).rooms!.join!)).toEqual(roomIds);
  });
});
