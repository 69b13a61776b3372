// What is one user's own, as clients see it over HTTP before the whole program.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { Robot } from "../support/homeserver/robot.ts";
import { PROFILE_NAMES } from "../support/homeserver/start.ts";
import { type AnswerJson, HttpClient } from "../support/http-client.ts";
import { startWholeService } from "../support/whole-service.ts";

let made = 0;

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let service: Awaited<ReturnType<typeof startWholeService>>;
  let homeserver: typeof service.homeserver;
  let alice: Robot;
  let bob: Robot;
  /** Bob's own connection. */
  let client: HttpClient;

  beforeAll(async () => {
    service = await startWholeService({ profile });
    ({ homeserver } = service);
  });
  beforeEach(async () => {
    made += 1;
    alice = await homeserver.register(`alice${made}`, `A${made}`);
    bob = await homeserver.register(`bob${made}`, `B${made}`);
    client = new HttpClient(service.product.url, bob);
  });
  afterAll(() => service[Symbol.asyncDispose]());

  const roomOfBoth = async () => {
    const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
    await bob.join(roomId);
    return roomId;
  };
  const forget = (roomId: string) => client.pass("POST", `/rooms/${encodeURIComponent(roomId)}/forget`);
  const membershipIn = ({ rooms }: AnswerJson, roomId: string) =>
    rooms[roomId]?.required_state?.findLast(({ type }) => type === "m.room.member")?.content.membership;

  describe("unread counts", () => {
    /** Bob's stream stands still, while Alice's brings what happens. */
    const withoutBobsStream = async (work: () => Promise<void>) => {
      await homeserver.control.untilPollsHeld(1, bob.userId);
      const fault = { path: "*/sync", user: bob.userId, times: 1, effect: { hang: true } };
      const hang = await homeserver.control.fault(fault);
      await bob.accountData("org.example.mark", { made });
      while ((await hang.hits()) === 0) await new Promise((resolve) => setImmediate(resolve));
      await work();
      await hang.release();
      await hang.remove();
    };
    const idsIn = ({ rooms }: AnswerJson, roomId: string) =>
      rooms[roomId]?.timeline?.map(({ event_id: id }) => id) ?? [];

    test("that rise with the user's own stream are told a moment later, though another's brought the message and it was told", async () => {
      const roomId = await roomOfBoth();
      await new HttpClient(service.product.url, alice).sync();
      await client.sync();
      await withoutBobsStream(async () => {
        const sent = await alice.send(roomId, "unread");
        const told = await client.until((answer) => idsIn(answer, roomId).includes(sent));
        expect(told.rooms[roomId]).toMatchObject({ notification_count: 0 });
      });
      // Longer than the test may take: no answer comes because the time is over.
      const { rooms } = await client.sync(60_000);
      expect(rooms).toEqual({ [roomId]: expect.objectContaining({ notification_count: 1, highlight_count: 0 }) });
      expect(idsIn({ rooms } as AnswerJson, roomId)).toEqual([]);
      // It is told once.
      expect((await client.sync()).rooms).toEqual({});
    });

    test("that rise before the message is told come with it, once", async () => {
      const roomId = await roomOfBoth();
      await client.sync();
      const waiting = client.sync(20_000);
      const sent = await alice.send(roomId, "unread");
      const { rooms } = await waiting;
      expect(rooms[roomId]).toMatchObject({ notification_count: 1, timeline: [{ event_id: sent }] });
      expect((await client.sync()).rooms).toEqual({});
    });
  });

  describe("a room that its user forgets", () => {
    const ways: [string, string, (room: string) => Promise<void>][] = [
      ["were kicked from", "leave", (room) => alice.kick(room, bob.userId)],
      ["were banned from", "ban", (room) => alice.ban(room, bob.userId)],
    ];

    test.each(
      ways,
    )("which they %s is in no list any more, and begins anew with an invite", async (_how, how, depart) => {
      const roomId = await roomOfBoth();
      expect((await client.sync()).lists.all.count).toBe(1);
      await depart(roomId);
      await client.until((answer) => membershipIn(answer, roomId) === how);
      expect((await client.sync()).lists.all.count).toBe(1);
      await forget(roomId);
      const after = await client.until(({ lists }) => lists.all.count === 0);
      expect(after.rooms).toEqual({});
      expect(await new HttpClient(service.product.url, bob, "other").sync()).toMatchObject({
        lists: { all: { count: 0 } },
        rooms: {},
      });
      if (how === "ban") await alice.unban(roomId, bob.userId);
      await alice.invite(roomId, bob.userId);
      const invited = await client.until(({ rooms }) => rooms[roomId]?.invite_state !== undefined);
      expect(invited).toMatchObject({ lists: { all: { count: 1 } }, rooms: { [roomId]: { initial: true } } });
      await bob.join(roomId);
      const joined = await client.until(({ rooms }) => rooms[roomId]?.timeline !== undefined);
      expect([joined.rooms[roomId]?.initial, joined.lists.all.count]).toEqual([true, 1]);
      await depart(roomId);
      await client.until((answer) => membershipIn(answer, roomId) === how);
      expect((await client.sync()).lists.all.count).toBe(1);
    });

    test("before anybody was told that they left it is told as left, and then in no list", async () => {
      const roomId = await roomOfBoth();
      expect((await client.sync()).lists.all.count).toBe(1);
      await client.pass("POST", `/rooms/${encodeURIComponent(roomId)}/leave`);
      await forget(roomId);
      await client.until((answer) => membershipIn(answer, roomId) === "leave");
      expect(await client.sync()).toMatchObject({ lists: { all: { count: 0 } }, rooms: {} });
    });
  });
});
