import type { Robot, SyncBody, SyncQuery } from "../robot.ts";
import { type Scene, type Stage, sendAll, untilRenamed } from "./stage.ts";

const LAZY = { room: { timeline: { limit: 3 }, state: { lazy_load_members: true } } };
const REDUNDANT = {
  room: { timeline: { limit: 3 }, state: { lazy_load_members: true, include_redundant_members: true } },
};

interface Cast {
  readonly alice: Robot;
  readonly bob: Robot;
  readonly carol: Robot;
  readonly dave: Robot;
  readonly roomId: string;
}

async function gather({ user }: Stage): Promise<Cast> {
  const [alice, bob, carol, dave] = [await user("alice"), await user("bob"), await user("carol"), await user("dave")];
  const roomId = await alice.createRoom({ preset: "public_chat" });
  for (const robot of [bob, carol, dave]) await robot.join(roomId);
  return { alice, bob, carol, dave, roomId };
}

/** Lazy members, their cache, summaries and heroes. */
export const members: Scene = async (stage) => {
  const { note } = stage;
  const { alice, bob, carol, dave, roomId } = await gather(stage);
  const noteSync = async (name: string, query: SyncQuery, robot = alice): Promise<SyncBody> => {
    const body = await robot.sync(query);
    note(name, body);
    return body;
  };
  await alice.invite(roomId, "@nobody:example.org");
  await sendAll(bob, roomId, ["one"]);
  await sendAll(carol, roomId, ["two"]);
  await sendAll(bob, roomId, ["three", "four"]);
  const first = await noteSync("at first", { filter: LAZY });
  await carol.send(roomId, "five");
  const second = await noteSync("a sender anew", { since: first.next_batch, filter: LAZY });
  await noteSync("the same again", { since: first.next_batch, filter: LAZY, timeout: 1 });
  await bob.send(roomId, "six");
  await noteSync("redundant members", { since: second.next_batch, filter: REDUNDANT });
  await sendAll(dave, roomId, ["g0", "g1", "g2", "g3", "g4"]);
  await carol.leave(roomId);
  const gap = await noteSync("a gap", { since: second.next_batch, filter: LAZY });
  await carol.join(roomId);
  await carol.send(roomId, "back");
  const rejoined = await noteSync("a member is back", { since: gap.next_batch, filter: LAZY });
  await noteSync("who is back", { since: second.next_batch, filter: LAZY }, carol);
  await dave.setDisplayName("Davey");
  await untilRenamed(alice, roomId, dave.userId, "Davey");
  const renamed = await noteSync("a new name", { since: rejoined.next_batch, filter: LAZY });
  await noteSync("full state", { since: renamed.next_batch, filter: LAZY, full_state: true });
  await alice.setState(roomId, "m.room.name", { name: "Now named" });
  await bob.leave(roomId);
  await noteSync("a name for the room", { since: renamed.next_batch, filter: LAZY });
  await noteSync("who left", { since: renamed.next_batch, filter: LAZY }, bob);
  await carol.leave(roomId);
  await dave.leave(roomId);
  await alice.setState(roomId, "m.room.name", { name: "" });
  await noteSync("heroes who are gone", { filter: REDUNDANT });
};

/** MSC4222: the state at the end of the timeline. Needs a homeserver that has it switched on. */
export const stateAfter: Scene = async (stage) => {
  const { note } = stage;
  const { alice, bob, carol, dave, roomId } = await gather(stage);
  const eager = { filter: { room: { timeline: { limit: 3 } } }, useStateAfter: true };
  const lazy = { filter: LAZY, useStateAfter: true };
  const first = await alice.sync(eager);
  note("at first", first);
  const lazyFirst = await alice.sync(lazy);
  note("at first, lazily", lazyFirst);
  await alice.setState(roomId, "m.room.topic", { topic: "x" });
  await bob.send(roomId, "1");
  note("a change", await alice.sync({ ...eager, since: first.next_batch }));
  const lazyNext = await alice.sync({ ...lazy, since: lazyFirst.next_batch });
  note("a change, lazily", lazyNext);
  await sendAll(bob, roomId, ["2", "3", "4", "5"]);
  await carol.leave(roomId);
  await alice.setState(roomId, "m.room.topic", { topic: "y" });
  note("a gap", await alice.sync({ ...eager, since: first.next_batch, timeout: 1 }));
  note("a gap, lazily", await alice.sync({ ...lazy, since: lazyNext.next_batch }));
  note("a gap, as of the start", await alice.sync({ filter: eager.filter, since: first.next_batch }));
  note("who left", await carol.sync({ ...eager, since: first.next_batch }));
  await dave.leave(roomId);
  await dave.join(roomId);
  note("who is back", await dave.sync({ ...eager, since: first.next_batch }));
};
