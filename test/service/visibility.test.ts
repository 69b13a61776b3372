// The named ways in which a reader might be shown what they may not see. The model of the property judges every answer, too.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { RoomAnswer, SyncResponse } from "../../src/engine/response.ts";
import { Membership } from "../../src/model/membership.ts";
import { type Asking, EVERYTHING } from "../support/visibility/clients.ts";
import type { DEEDS } from "../support/visibility/deeds.ts";
import { type Settings, startServing, VisibilityWorld } from "../support/visibility/world.ts";

/** Kim runs the room, Bob is in it, and Vic is who must not see more than they may. */
const [KIM, BOB, VIC] = [0, 1, 2] as const;
const VISIBILITY = { shared: 0, invited: 1, joined: 2, worldReadable: 3 } as const;

let serving: Awaited<ReturnType<typeof startServing>>;
let world: VisibilityWorld;
let worlds = 0;

beforeAll(async () => {
  serving = await startServing();
});

afterAll(() => serving[Symbol.asyncDispose]());

async function begin(settings: Partial<Settings> = {}, areIn = [true, true], areSynced = [true, true, true]) {
  worlds += 1;
  const plain = { hasStateAfter: worlds % 2 === 0, timelineLimit: 20, joinRule: "public", visibility: "shared" };
  world = await VisibilityWorld.start(serving, worlds, { ...plain, ...settings });
  await world.begin({ areIn, areSynced });
}

beforeEach(() => begin());

/** Returns what it says, where it says anything. */
const does = (by: number, what: (typeof DEEDS)[number], upon: number = VIC, value: number = 1) =>
  world.do({ does: what, by, upon, value });

/** Whatever could be shown of a room, each with a text of its own. */
const secrets = async () => {
  const texts = [];
  for (const what of ["message", "name", "avatar", "topic", "displayname"] as const) texts.push(await does(KIM, what));
  await does(KIM, "remote member");
  return texts;
};

const take = async (...devices: readonly number[]) => {
  for (const device of devices) await world.take(device);
};

async function sync(user: number, asking: Partial<Asking> = {}): Promise<SyncResponse> {
  await world.caughtUp();
  const response = await world.sync(user, { ...EVERYTHING, ...asking });
  expect(world.violations).toEqual([]);
  return response!;
}

const roomOf = ({ rooms }: SyncResponse): RoomAnswer | undefined => rooms[0];

/** Everything that an answer says, bodies of events included; what a homeserver says of the value before is its own to tell. */
const textOf = ({ rooms }: SyncResponse): string =>
  JSON.stringify(rooms, (key, value) => {
    if (key === "unsigned") return undefined;
    return value?.type === "Buffer" ? JSON.parse(Buffer.from(value.data).toString()) : value;
  });

const saidOf = (response: SyncResponse, texts: readonly string[]) =>
  texts.filter((text) => textOf(response).includes(`"${text}"`));

const DEPARTURES = [
  ["kicked", "kick", Membership.leave],
  ["banned", "ban", Membership.ban],
  ["gone", "leave", Membership.leave],
] as const;

const BROUGHT = [
  ["by others alone, in one batch", async () => [], [KIM]],
  ["by others alone, in two batches", async () => take(KIM), [KIM]],
  ["by their own stream first", async () => take(VIC), [KIM]],
  ["by their own stream last", async () => [], [KIM, VIC]],
  ["by others who lack what was before", async () => world.stop(VIC), [BOB, KIM]],
] as const;

describe.each(DEPARTURES)("who is %s", (_who, departs, membership) => {
  test.each(BROUGHT)("is told of that and of nothing after it, brought %s", async (_how, between, order) => {
    await sync(VIC, { connection: 1, way: "subscription" });
    const before = await does(KIM, "message");
    await does(departs === "leave" ? VIC : KIM, departs);
    await between();
    const hidden = await secrets();
    await take(...order);
    for (const asking of [{ way: "list" }, { connection: 1, way: "subscription" }] as const) {
      const answer = await sync(VIC, asking);
      expect(roomOf(answer)?.membership).toBe(membership);
      expect(saidOf(answer, [before, ...hidden])).toEqual([before]);
    }
    hidden.push(...(await secrets()));
    await take(KIM);
    for (const connection of [0, 1]) expect((await sync(VIC, { connection, limit: 50 })).rooms).toEqual([]);
    const anew = await sync(VIC, { isNew: true });
    expect(roomOf(anew)?.membership).toBe(membership);
    expect(saidOf(anew, [before, ...hidden])).toEqual([before]);
  });
});

test("a device that does not poll is shown the state before its ban alone (CVE-2024-53867)", async () => {
  await sync(VIC, { isNew: true, limit: 1, wish: "some" });
  const before = await does(KIM, "topic");
  await take(KIM);
  world.stop(VIC);
  await does(KIM, "ban");
  await take(KIM);
  const hidden = await secrets();
  await take(KIM);
  // It asks for more than it has, of a room that its connection is live in.
  const answer = await sync(VIC, { way: "subscription" });
  expect(roomOf(answer)?.membership).toBe(Membership.ban);
  expect(saidOf(answer, [before, ...hidden])).toEqual([before]);
  hidden.push(...(await secrets()));
  await take(BOB, KIM);
  expect((await sync(VIC, { way: "both" })).rooms).toEqual([]);
});

test("name and avatar that change after a ban are not shown, nor heroes, nor counts", async () => {
  await does(KIM, "ban");
  const hidden = [await does(KIM, "name"), await does(KIM, "avatar"), await does(BOB, "displayname")];
  await does(KIM, "remote member");
  await take(KIM);
  for (const asking of [{}, { isNew: true }]) {
    const answer = await sync(VIC, asking);
    const { name, avatar, heroes, joinedCount, invitedCount } = roomOf(answer)!;
    expect([name, avatar, heroes, joinedCount, invitedCount]).toEqual([...Array(5)]);
    expect(saidOf(answer, hidden)).toEqual([]);
  }
});

test("heroes and counts of a room that a reader is in are those of their own stream, and none after a kick", async () => {
  const there = roomOf(await sync(VIC, { isNew: true }))!;
  expect([there.heroes?.map(({ userId }) => userId), there.joinedCount]).toEqual([
    [world.userId(KIM), world.userId(BOB)],
    3,
  ]);
  await does(KIM, "kick");
  await does(KIM, "remote member");
  await take(KIM, BOB);
  const { heroes, joinedCount } = roomOf(await sync(VIC))!;
  expect([heroes, joinedCount]).toEqual([undefined, undefined]);
});

test.each([
  ["their own stream first", [VIC, KIM]],
  ["others first", [KIM, VIC]],
] as const)("who comes back is not shown what was for members meanwhile, brought by %s", async (_how, order) => {
  await begin({ visibility: "joined" });
  const before = await does(KIM, "message");
  await take(KIM, VIC);
  await does(KIM, "kick");
  const hidden = [await does(KIM, "message"), await does(KIM, "topic"), await does(BOB, "message")];
  const now = await does(KIM, "topic");
  await does(VIC, "join");
  const after = await does(KIM, "message");
  await take(...order);
  for (const asking of [{ limit: 50 }, { isNew: true, limit: 50 }]) {
    const answer = await sync(VIC, asking);
    expect(roomOf(answer)?.membership).toBe(Membership.join);
    expect(saidOf(answer, [...hidden, now, after])).toEqual([now, after]);
  }
  const toBob = await sync(BOB, { isNew: true, limit: 50 });
  expect(saidOf(toBob, [before, ...hidden])).toEqual([before, ...hidden]);
});

/** Who does it, and what comes of it for Vic, who is shown what was shared where they are back. */
test.each([
  ["kicked, and comes back", "joined", { kick: KIM, message: KIM, join: VIC }],
  ["kicked, and invited", "shared", { kick: KIM, message: KIM, invite: KIM }],
  ["gone, and banned", "shared", { leave: VIC, message: KIM, ban: KIM }],
  ["kicked by somebody who leaves then", "shared", { kick: KIM, message: BOB, leave: KIM }],
] as const)("who is %s is shown nothing of what was between, brought in one batch", async (_who, visibility, deeds) => {
  await begin({ visibility });
  world.stop(VIC);
  const texts = [];
  for (const [what, by] of Object.entries(deeds)) texts.push(await does(by, what as keyof typeof deeds));
  await take(KIM);
  const answer = await sync(VIC);
  expect(roomOf(answer)?.membership).not.toBe(Membership.join);
  expect(saidOf(answer, texts)).toEqual([]);
});

test("who was kicked while their first sync was on its way is shown nothing that came after", async () => {
  await begin({}, [true, true], [true, true, false]);
  await world.poll(VIC);
  await does(KIM, "kick");
  await take(KIM);
  const hidden = await secrets();
  await take(KIM);
  await world.streams.store(VIC);
  expect(saidOf(await sync(VIC, { isNew: true }), hidden)).toEqual([]);
});

test("who is invited is shown the stripped state of then alone, whatever others bring", async () => {
  await begin({}, [true, false]);
  await does(KIM, "topic");
  await does(KIM, "invite");
  await take(VIC);
  const hidden = await secrets();
  await take(KIM, BOB);
  const answer = await sync(VIC, { isNew: true });
  expect(roomOf(answer)).toMatchObject({ membership: Membership.invite, requiredState: [], timeline: undefined });
  expect(saidOf(answer, hidden)).toEqual([]);
});

test("messages of somebody who is ignored stay away, though others bring them, and their state does not", async () => {
  const early = await does(BOB, "message");
  await take(KIM);
  await does(VIC, "ignore", BOB, 2);
  await take(VIC);
  const late = await does(BOB, "message");
  const [state, heard] = [await does(BOB, "topic"), await does(KIM, "message")];
  await take(KIM, BOB);
  for (const asking of [{}, { isNew: true }]) {
    const answer = await sync(VIC, asking);
    expect(saidOf(answer, [early, late, state, heard])).toEqual([state, heard]);
  }
});

test("a stricter visibility holds for who comes in later, whoever told of it", async () => {
  await begin({ timelineLimit: 2 }, [true, false]);
  await does(KIM, "message");
  await take(KIM);
  await does(KIM, "visibility", VIC, VISIBILITY.joined);
  const hidden = [await does(KIM, "message"), await does(BOB, "message"), await does(KIM, "message")];
  await does(VIC, "join");
  const seen = await does(KIM, "message");
  await take(VIC, BOB, KIM);
  expect(saidOf(await sync(VIC, { isNew: true, limit: 50 }), [...hidden, seen])).toEqual([seen]);
});
