import type { SyncBody } from "../robot.ts";
import { part, path, type Scene } from "./stage.ts";

/** To-device messages, keys, device lists and push rules. */
export const devices: Scene = async ({ user, note }) => {
  const [alice, bob, carol] = [await user("alice"), await user("bob"), await user("carol")];
  const empty = await alice.sync();
  for (let index = 0; index < 103; index++) await bob.sendToDevice(alice.userId, "*", { index });
  const noteDelivery = (name: string, { to_device }: SyncBody) =>
    note(
      name,
      to_device?.events.map(({ content }) => content.index),
    );
  const first = await alice.sync({ since: empty.next_batch });
  noteDelivery("a hundred", first);
  noteDelivery("the same hundred", await alice.sync({ since: empty.next_batch, timeout: 1 }));
  const second = await alice.sync({ since: first.next_batch });
  noteDelivery("the rest", second);
  noteDelivery("what an older token finds", await alice.sync({ since: empty.next_batch, timeout: 2 }));
  await alice.sync({ since: second.next_batch });
  noteDelivery("what an older token finds after all", await alice.sync({ since: empty.next_batch, timeout: 3 }));

  const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
  await bob.join(roomId);
  await carol.join(roomId);
  const before = await alice.sync({ since: second.next_batch });
  note("others join", before);
  note("key counts", await bob.uploadKeys({ oneTimeKeys: 2, hasFallback: true }));
  const changed = await alice.sync({ since: before.next_batch });
  note("bob has keys", changed);
  const ofBob = await bob.sync({ filter: { room: { rooms: [] } } });
  note("counts of bob", ofBob);
  await alice.claimKey(bob.userId, bob.deviceId);
  await alice.claimKey(bob.userId, bob.deviceId);
  await alice.claimKey(bob.userId, bob.deviceId);
  note("counts of bob after claims", await bob.sync({ since: ofBob.next_batch, filter: { room: { rooms: [] } } }));
  await bob.leave(roomId);
  const gone = await alice.sync({ since: changed.next_batch });
  note("bob is gone", gone);
  await alice.leave(roomId);
  const left = await alice.sync({ since: gone.next_batch });
  note("alice is gone", left);
  await alice.join(roomId);
  note("alice is back", await alice.sync({ since: left.next_batch }));
};

/** Push rules of the user's own, and what they do to counts. */
export const pushRules: Scene = async ({ user, note, noteReply }) => {
  const [alice, bob] = [await user("alice"), await user("bob")];
  const roomId = await alice.createRoom({ preset: "public_chat" });
  await bob.join(roomId);
  note("at first", await alice.call("GET", "/pushrules/"));
  let { next_batch: since } = await alice.sync();
  const noteAfter = async (name: string) => {
    await bob.send(roomId, name);
    const body = await alice.sync({ since });
    since = body.next_batch;
    note(name, body);
  };
  const conditions = [{ kind: "event_match", key: "room_id", pattern: roomId }];
  await alice.call("PUT", `/pushrules/global/override/${part(roomId)}`, { conditions, actions: [] });
  await noteAfter("muted");
  await alice.call("PUT", `/pushrules/global/override/${part(roomId)}/enabled`, { enabled: false });
  await noteAfter("no longer muted");
  await alice.call("PUT", `/pushrules/global/room/${part(roomId)}`, { actions: ["dont_notify"] });
  await noteAfter("muted by a room rule");
  await alice.call("DELETE", `/pushrules/global/room/${part(roomId)}`);
  await noteAfter("without the rule");
  await noteReply("a rule that is not there", alice.call("DELETE", "/pushrules/global/override/none"));
  await alice.call("POST", path(roomId, "read_markers"), {});
};
