import { part, path, type Scene } from "./stage.ts";

/** Room versions whose create event, ids or redactions differ. */
export const versions: Scene = async ({ user, note }) => {
  const [alice, bob] = [await user("alice"), await user("bob")];
  for (const room_version of ["11", "12"]) {
    const creation_content = { type: "m.space", "m.federate": false };
    const roomId = await alice.createRoom({
      preset: "trusted_private_chat",
      room_version,
      invite: [bob.userId],
      creation_content,
    });
    const filter = { room: { timeline: { limit: 50 } } };
    note(
      `created ${room_version}`,
      (await alice.sync({ filter, timeout: Number(room_version) })).rooms?.join?.[roomId],
    );
    note(
      `filtered ${room_version}`,
      (await alice.sync({ filter: { room: { rooms: [roomId] } } })).rooms?.join?.[roomId],
    );
    note(`invited ${room_version}`, (await bob.sync({ timeout: Number(room_version) })).rooms?.invite?.[roomId]);
    await alice.redact(roomId, await alice.send(roomId, "text"));
    note(`redacted ${room_version}`, await alice.messages(roomId, { limit: "2" }));
  }
};

/** Status and errcode of what is refused; the words too, where they are Synapse's own. */
export const refusals: Scene = async ({ user, noteReply }) => {
  const [alice, bob, carol, dave] = [await user("alice"), await user("bob"), await user("carol"), await user("dave")];
  const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
  await bob.join(roomId);
  await carol.join(roomId);
  await carol.leave(roomId);
  const on = (name: string, robot: typeof alice, method: string, rest: string, body?: object) =>
    noteReply(name, robot.call(method, path(roomId, rest), body));
  await on("a name without power", bob, "PUT", "state/m.room.name/", { name: "x" });
  await on("an invite without power", bob, "POST", "invite", { user_id: dave.userId });
  await on("an invite of a member", alice, "POST", "invite", { user_id: bob.userId });
  await on("a kick of a stranger", alice, "POST", "kick", { user_id: dave.userId });
  await on("a kick without power", bob, "POST", "kick", { user_id: alice.userId });
  await on("a ban without power", bob, "POST", "ban", { user_id: alice.userId });
  await on("a leave of a stranger", dave, "POST", "leave", {});
  await on("a second leave", carol, "POST", "leave", {});
  await on("a message of who left", carol, "PUT", "send/m.room.message/t", { body: "x" });
  await on("forgetting a joined room", alice, "POST", "forget", {});
  await on("state for a stranger", dave, "GET", "state");
  await on("an event for a stranger", dave, "GET", "event/$none");
  await on("an event that is not there", alice, "GET", "event/$none");
  await on("context of what is not there", alice, "GET", "context/$none");
  await on("state that is not there", alice, "GET", "state/of.none/");
  await on("messages with a bad limit", alice, "GET", "messages?dir=b&limit=x");
  await on("messages with a bad token", alice, "GET", "messages?dir=b&from=x");
  await on("typing for another", bob, "PUT", `typing/${alice.userId}`, { typing: true });
  await noteReply("a join of no room", alice.call("POST", `/join/${part("!none:example.org")}`, {}));
  await noteReply("a join of no alias", alice.call("POST", `/join/${part("#none:example.org")}`, {}));
  await noteReply("a leave of no room", alice.call("POST", `/rooms/${part("!none:example.org")}/leave`, {}));
  await noteReply("state of no room", alice.call("GET", `/rooms/${part("!none:example.org")}/state`));
  await noteReply("account data of another", alice.call("GET", `/user/${part(bob.userId)}/account_data/x`));
  await noteReply("account data that is not there", alice.call("GET", `/user/${part(alice.userId)}/account_data/x`));
  await noteReply(
    "push rules as account data",
    alice.call("PUT", `/user/${part(alice.userId)}/account_data/m.push_rules`, {}),
  );
  await noteReply("a bad since", alice.call("GET", "/sync?since=x"));
  await noteReply("a bad timeout", alice.call("GET", "/sync?timeout=x"));
  await noteReply("a from", alice.call("GET", "/sync?from=x"));
  await noteReply("no such path", alice.call("GET", "/none"));
};
