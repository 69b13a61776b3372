import { path, type Scene, sendAll } from "./stage.ts";

const limit = (count: number) => ({ room: { timeline: { limit: count } } });

/** Creating a room, gaps, scrollback, redaction, and everything else that may come with a room. */
export const timelines: Scene = async ({ user, note, noteReply }) => {
  const alice = await user("alice");
  const bob = await user("bob");
  const empty = await alice.sync();
  note("an empty account", empty);
  const roomId = await alice.createRoom({
    preset: "private_chat",
    name: "Room",
    topic: "Topic",
    invite: [bob.userId],
    is_direct: true,
    initial_state: [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }],
  });
  const invited = await bob.sync();
  note("the invited", invited);
  const created = await alice.sync({ since: empty.next_batch });
  note("the creator", created);

  await bob.join(roomId);
  await sendAll(alice, roomId, ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10", "m11", "m12"]);
  const gap = await alice.sync({ since: created.next_batch });
  note("a gap", gap);
  const joined = await bob.sync({ since: invited.next_batch });
  note("newly joined", joined);
  const { timeline } = gap.rooms?.join?.[roomId] ?? { timeline: { events: [], prev_batch: "", limited: false } };
  const [, , third] = timeline.events;
  const last = timeline.events.at(-1);
  if (third === undefined || last === undefined) throw new Error("the gap has no events");

  note("messages before the gap", await alice.messages(roomId, { from: timeline.prev_batch, limit: "3" }));
  note("messages from the end", await alice.messages(roomId, { limit: "2" }));
  note("messages from the start", await alice.messages(roomId, { dir: "f", limit: "2" }));
  note("messages after the end", await alice.messages(roomId, { dir: "f", from: gap.next_batch }));
  const backwards = await alice.messages(roomId, { limit: "3" });
  note("messages to a token", await alice.messages(roomId, { limit: "50", to: String(backwards.end) }));
  note(
    "lazy messages",
    await alice.messages(roomId, { limit: "3", filter: JSON.stringify({ lazy_load_members: true }) }),
  );
  note(
    "messages of a type",
    await alice.messages(roomId, { limit: "2", filter: JSON.stringify({ types: ["m.room.name"] }) }),
  );
  note("context of limit 0", await alice.call("GET", path(roomId, `context/${last.event_id}?limit=0`)));
  note("context of limit 3", await alice.call("GET", path(roomId, `context/${third.event_id}?limit=3`)));
  await noteReply("messages without a direction", alice.call("GET", path(roomId, "messages?limit=1")));

  await alice.setState(roomId, "m.room.topic", { topic: "Another" });
  await alice.redact(roomId, third.event_id, "reason");
  await bob.typing(roomId);
  await bob.receipt(roomId, last.event_id);
  await alice.accountData("of.account", { x: 1 });
  await alice.roomAccountData(roomId, "of.room", { x: 1 });
  await alice.tag(roomId, "m.favourite", { order: 0.5 });
  await bob.sendToDevice(alice.userId, "*", { y: 1 });
  const mixed = await alice.sync({ since: gap.next_batch });
  note("a bit of everything", mixed);
  note("a redacted event", await alice.call("GET", path(roomId, `event/${third.event_id}`)));
  await bob.typing(roomId, false);
  await alice.untag(roomId, "m.favourite");
  note("typing and tags end", await alice.sync({ since: mixed.next_batch }));

  note("a first sync of few", await alice.sync({ filter: limit(1) }));
  note("a first sync of all", await alice.sync({ filter: limit(50) }));
  note("a first sync of none", await alice.sync({ filter: limit(0) }));
  note("an incremental sync of none", await alice.sync({ since: gap.next_batch, filter: limit(0) }));
  note("full state", await alice.sync({ since: mixed.next_batch, full_state: true }));
  note("a since that is too short", await alice.sync({ since: mixed.next_batch.split("_").slice(0, 8).join("_") }));
};

/** What filters let through, quirks included. */
export const filters: Scene = async ({ user, note, noteReply }) => {
  const alice = await user("alice");
  const empty = await alice.sync();
  const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
  await alice.createRoom({ preset: "public_chat", name: "Other" });
  await alice.send(roomId, "text");
  await alice.roomAccountData(roomId, "of.room", { x: 1 });
  await alice.tag(roomId, "u.tag");
  const since = empty.next_batch;
  const rooms = [roomId];
  note(
    "rooms",
    await alice.sync({
      since,
      filter: { room: { rooms, timeline: { limit: 1 }, state: { types: ["m.room.create"] } } },
    }),
  );
  note("no rooms at first", await alice.sync({ filter: { room: { rooms: [] } } }));
  note("no rooms later", await alice.sync({ since, filter: { room: { rooms: [] } } }));
  note("not rooms", await alice.sync({ filter: { room: { not_rooms: rooms, timeline: { limit: 1 } } } }));
  note(
    "types of timeline",
    await alice.sync({ filter: { room: { timeline: { types: ["m.room.message"] }, state: { types: [] } } } }),
  );
  note(
    "not types of state",
    await alice.sync({ filter: { room: { timeline: { limit: 1 }, state: { not_types: ["m.room.*"] } } } }),
  );
  note("no timeline", await alice.sync({ since, filter: { room: { timeline: { types: [] } } } }));
  note(
    "no account data",
    await alice.sync({ since, filter: { account_data: { types: [] }, room: { account_data: { types: [] } } } }),
  );
  const { filter_id } = await alice.call("POST", `/user/${alice.userId}/filter`, { room: { timeline: { limit: 2 } } });
  note("a stored filter", await alice.sync({ filter: String(filter_id) }));
  await noteReply("a filter that is not there", alice.call("GET", "/sync?filter=99"));
  await noteReply("a filter that is no JSON", alice.call("GET", "/sync?filter=%7B"));
};
