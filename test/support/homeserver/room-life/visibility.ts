import { path, type Scene } from "./stage.ts";

const WIDE = { room: { timeline: { limit: 20 } } };

/** History visibility as it changes, for who joins, leaves, comes back and peeks. */
export const visibility: Scene = async ({ user, note, noteReply }) => {
  const [alice, bob, carol] = [await user("alice"), await user("bob"), await user("carol")];
  const empty = await bob.sync();
  const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
  const open = (history_visibility: string) =>
    alice.setState(roomId, "m.room.history_visibility", { history_visibility });
  await alice.send(roomId, "while shared");
  await open("joined");
  await alice.send(roomId, "while joined only");
  await alice.setState(roomId, "m.room.topic", { topic: "hidden" });
  await bob.join(roomId);
  await alice.send(roomId, "seen by bob");
  const joined = await bob.sync({ since: empty.next_batch, filter: WIDE });
  note("joins", joined);
  note("messages of who joined", await bob.messages(roomId, { limit: "20" }));
  await bob.leave(roomId);
  await alice.send(roomId, "not seen by bob");
  await alice.setState(roomId, "m.room.topic", { topic: "not seen by bob" });
  const left = await bob.sync({ since: joined.next_batch, filter: WIDE });
  note("leaves", left);
  note("messages of who left", await bob.messages(roomId, { limit: "3" }));
  await noteReply("state of who left", bob.call("GET", path(roomId, "state/m.room.topic/")));
  await noteReply("members of who left", bob.call("GET", path(roomId, "members")));
  await noteReply("joined members of who left", bob.call("GET", path(roomId, "joined_members")));
  await open("invited");
  await alice.invite(roomId, bob.userId);
  await alice.send(roomId, "while invited");
  await bob.join(roomId);
  note("joins again", await bob.sync({ since: left.next_batch, filter: WIDE }));
  await noteReply("messages for a stranger", carol.call("GET", path(roomId, "messages?dir=b")));
  await open("world_readable");
  note("messages for everybody", await carol.messages(roomId, { limit: "3" }));
  await noteReply("state for everybody", carol.call("GET", path(roomId, "state/m.room.name/")));
  await noteReply("joined members for everybody", carol.call("GET", path(roomId, "joined_members")));
};

/** What an ignored user's events leave behind. */
export const ignoring: Scene = async ({ user, note }) => {
  const [alice, bob, carol] = [await user("alice"), await user("bob"), await user("carol")];
  const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
  await bob.join(roomId);
  await carol.join(roomId);
  await bob.accountData("m.ignored_user_list", { ignored_users: { [carol.userId]: {} } });
  const before = await bob.sync();
  for (const text of ["1", "2", "3"]) await carol.send(roomId, text);
  await alice.send(roomId, "seen");
  await carol.receipt(roomId, await alice.send(roomId, "seen too"));
  const after = await bob.sync({ since: before.next_batch });
  note("some are hidden", after);
  for (let index = 0; index < 12; index++) await carol.send(roomId, `hidden ${index}`);
  note("nothing but hidden ones", await bob.sync({ since: after.next_batch }));
  const filter = { room: { rooms: [roomId], timeline: { limit: 2 }, state: { types: [] } } };
  note("a first sync behind them", await bob.sync({ filter }));
};
