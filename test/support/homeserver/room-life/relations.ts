import { objectOr } from "../json.ts";
import { path, type Scene } from "./stage.ts";

const relatesTo = (event_id: string, rel_type: string, more = {}) => ({
  "m.relates_to": { rel_type, event_id, ...more },
});
const text = (body: string, more = {}) => ({ msgtype: "m.text", body, ...more });

/** Threads, edits, references, reactions, and what of them is counted and bundled. */
export const relations: Scene = async ({ user, note, noteReply }) => {
  const [alice, bob, carol] = [await user("alice"), await user("bob"), await user("carol")];
  const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
  await bob.join(roomId);
  await carol.join(roomId);
  const { next_batch: since } = await alice.sync();
  const { next_batch: sinceOfBob } = await bob.sync();
  const nameOfAlice = alice.userId.slice(1, alice.userId.indexOf(":"));

  const root = await alice.send(roomId, "root");
  const reply = await bob.send(roomId, text("in the thread", relatesTo(root, "m.thread")));
  const typo = await bob.send(roomId, "typo");
  const edit = await bob.send(
    roomId,
    text("* fixed", { "m.new_content": text("fixed"), ...relatesTo(typo, "m.replace") }),
  );
  await carol.send(roomId, relatesTo(typo, "m.annotation", { key: "x" }), "m.reaction");
  await carol.send(roomId, text("reference", relatesTo(typo, "m.reference")));
  await carol.send(roomId, { msgtype: "m.notice", body: "notice" });
  await carol.send(roomId, text(`hi ${nameOfAlice} there`));
  await carol.send(roomId, text("mention", { "m.mentions": { user_ids: [alice.userId] } }));
  await carol.send(roomId, text(`${nameOfAlice} but no mention`, { "m.mentions": {} }));
  await carol.send(roomId, { algorithm: "m.megolm.v1.aes-sha2", ciphertext: "x" }, "m.room.encrypted");
  await carol.send(roomId, "@room hello");

  const filter = (limit: number, isSplit = false) => ({
    room: { timeline: { limit, unread_thread_notifications: isSplit } },
  });
  note("counts folded", await alice.sync({ since, filter: filter(1) }));
  note("counts by thread", await alice.sync({ since, filter: filter(1, true) }));
  note("not limited", await alice.sync({ since, filter: filter(12) }));
  note("limited", await alice.sync({ since, filter: filter(11) }));
  note("the root", await alice.call("GET", path(roomId, `event/${root}`)));
  note("the edited", await alice.call("GET", path(roomId, `event/${typo}`)));

  await alice.receipt(roomId, reply, "m.read", root);
  note("the thread is read", await alice.sync({ since, filter: filter(1, true), timeout: 1 }));
  await alice.receipt(roomId, typo, "m.read", "main");
  note("the main timeline is read in part", await alice.sync({ since, filter: filter(1, true), timeout: 2 }));
  await alice.receipt(roomId, edit, "m.read.private");
  note("read in private", await alice.sync({ since, filter: filter(1, true), timeout: 3 }));
  note("as others see it", await bob.sync({ since: sinceOfBob, filter: filter(1, true) }));
  await alice.receipt(roomId, typo);
  await alice.receipt(roomId, root);
  await noteReply("a receipt for what is not there", alice.call("POST", path(roomId, "receipt/m.read/$none"), {}));
  await noteReply("a receipt of no kind", alice.call("POST", path(roomId, `receipt/of.none/${root}`), {}));
  const marked = await alice.sync({ since, filter: filter(1), timeout: 4 });
  note("receipts do not go back", marked);
  await alice.send(roomId, "own");
  await bob.send(roomId, "one more");
  const secret = await carol.send(roomId, `secret of ${nameOfAlice}`);
  note("counts before a redaction", await alice.sync({ since: marked.next_batch, filter: filter(1) }));
  await alice.redact(roomId, secret);
  note("counts after a redaction", await alice.sync({ since: marked.next_batch, filter: filter(3), timeout: 1 }));
  await alice.call("POST", path(roomId, "read_markers"), { "m.fully_read": secret, "m.read": secret });
  note("read markers", await alice.sync({ since: marked.next_batch, filter: filter(1), timeout: 2 }));
  await alice.redact(roomId, edit);
  note("after the edit is redacted", await alice.call("GET", path(roomId, `event/${typo}`)));

  await alice.setState(roomId, "m.room.topic", { topic: "secret" });
  const topic = objectOr(await alice.call("GET", path(roomId, "state/m.room.topic/?format=event")));
  note("a state event", topic);
  await alice.redact(roomId, String(topic.event_id), "bad");
  note("redacted state", await alice.sync({ since: marked.next_batch, filter: filter(1), timeout: 3 }));
  await alice.setState(roomId, "m.room.topic", { topic: "new" });
  note("after redacted state", await alice.sync({ since: marked.next_batch, filter: filter(1), timeout: 4 }));
  await noteReply("who may not redact", bob.call("PUT", path(roomId, `redact/${root}/t`), {}));
};
