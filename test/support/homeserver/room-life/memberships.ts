import type { Robot, SyncBody, SyncQuery } from "../robot.ts";
import { part, path, type Scene, type Stage } from "./stage.ts";

const limit = (count: number) => ({ room: { timeline: { limit: count } } });

/** Syncs on from answer to answer, and notes each. */
function follow(robot: Robot, { note }: Stage) {
  let since: string | undefined;
  return async (name: string, query: SyncQuery = {}): Promise<SyncBody> => {
    const body = await robot.sync({ since, ...query });
    since = body.next_batch;
    note(name, body);
    return body;
  };
}

/** Invites, rejections, kicks, bans and knocks, as the user sees them who is meant. */
export const memberships: Scene = async (stage) => {
  const { user, note, noteReply } = stage;
  const [alice, bob] = [await user("alice"), await user("bob")];
  const next = follow(bob, stage);
  const afresh = async (name: string, count: number) => note(name, await bob.sync({ filter: limit(count) }));
  const roomId = await alice.createRoom({ preset: "private_chat", name: "Room" });
  await next("nothing yet");
  await alice.invite(roomId, bob.userId);
  await next("invited");
  await bob.leave(roomId);
  await next("rejected");
  await afresh("first sync after the rejection", 5);
  await alice.invite(roomId, bob.userId);
  await next("invited again");
  await alice.kick(roomId, bob.userId);
  await next("retracted");
  await afresh("first sync after the retraction", 2);
  note("messages after the retraction", await bob.messages(roomId, { limit: "2" }));
  await bob.accountData("m.ignored_user_list", { ignored_users: { [alice.userId]: {} } });
  await alice.invite(roomId, bob.userId);
  await next("an invite of an ignored user");
  await afresh("first sync while ignoring", 3);
  await bob.accountData("m.ignored_user_list", { ignored_users: {} });
  await next("no longer ignoring");
  await afresh("first sync after ignoring", 4);
  await bob.join(roomId);
  await next("joined");
  await alice.ban(roomId, bob.userId, "reason");
  await alice.send(roomId, "after the ban");
  await next("banned");
  await afresh("first sync after the ban", 6);
  await noteReply("state after the ban", bob.call("GET", path(roomId, "state/m.room.name/")));
  await noteReply("a join after the ban", bob.call("POST", `/join/${part(roomId)}`, {}));
  await noteReply("an invite after the ban", alice.call("POST", path(roomId, "invite"), { user_id: bob.userId }));
  await alice.unban(roomId, bob.userId);
  await next("unbanned");
  note(
    "with rooms that were left",
    await bob.sync({ filter: { room: { include_leave: true, timeline: { limit: 2 } } } }),
  );
  await bob.forget(roomId);
  note(
    "with rooms that were left but forgotten",
    await bob.sync({ filter: { room: { include_leave: true, timeline: { limit: 1 } } } }),
  );
};

/** Knocking, leaving and joining again. */
export const knocks: Scene = async (stage) => {
  const { user, note } = stage;
  const [alice, bob] = [await user("alice"), await user("bob")];
  const next = follow(bob, stage);
  const rules = { type: "m.room.join_rules", content: { join_rule: "knock" } };
  const roomId = await alice.createRoom({ preset: "private_chat", name: "Club", initial_state: [rules] });
  await next("nothing yet");
  await bob.knock(roomId);
  await next("knocked");
  note("a first sync while knocking", await bob.sync({ filter: limit(6) }));
  const before = await alice.sync();
  await bob.leave(roomId);
  await next("no longer knocking");
  note("the other side", await alice.sync({ since: before.next_batch }));
  await bob.knock(roomId);
  await alice.invite(roomId, bob.userId);
  await next("let in");
  await bob.join(roomId);
  await next("joined");
  await bob.leave(roomId);
  await alice.invite(roomId, bob.userId);
  await bob.join(roomId);
  await next("left and joined again", { filter: limit(2) });
};
