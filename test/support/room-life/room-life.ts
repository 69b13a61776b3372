// A script of room life: the same calls in the same order on any homeserver, with every user's view taken at marked points.
import type { JsonObject, Session } from "./api.ts";
import { type Actor, type Cast, gatherCast, PEOPLE } from "./cast.ts";
import { Recorder, type Snapshot, type SyncAnswer } from "./recorder.ts";

export type Life = {
  readonly snapshots: readonly Snapshot[];
  /** Stable names of what the server named: room ids, and event ids by their place in the room's history. */
  readonly names: ReadonlyMap<string, string>;
};

/** More than a timeline can hold, whatever the client asks. */
const GAP_EVENTS = 110;
/** More than one answer carries. */
const TO_DEVICE_MESSAGES = 105;

/**
 * Lives through the script on an empty homeserver at `url`, whose server name must be `hs1`.
 *
 * Synapse looks at the rooms of one answer in any order, and two things depend on it: whom a lazy sync leaves out, and whether a user
 * who came to one room and left another is told as changed or as left. So Frank, who is in one room only, makes the former certain, and
 * between two points nobody comes and goes in different rooms.
 */
export async function roomLife({ url }: { url: string }): Promise<Life> {
  const cast = await gatherCast(url);
  const stage: Stage = { cast, recorder: new Recorder(cast), rooms: new Map(), marks: new Map() };
  await stage.recorder.point("empty accounts");
  await furnish(stage);
  await stage.recorder.point("rooms made");
  await talk(stage);
  await stage.recorder.point("talk");
  await go(stage);
  await stage.recorder.point("going");
  await comeBack(stage);
  await stage.recorder.point("coming back");
  await fallBehind(stage);
  await changeWhoSees(stage);
  await stage.recorder.point("who sees what");
  await ignore(stage);
  await stage.recorder.point("ignored");
  await tidyUp(stage);
  await stage.recorder.point("the end");
  await pollRarely(stage);
  await lookElsewhere(stage);
  return { snapshots: stage.recorder.snapshots, names: await nameEverything(stage) };
}

type Stage = {
  readonly cast: Cast;
  readonly recorder: Recorder;
  /** Room id and the one who is there from first to last and ignores nobody. */
  readonly rooms: Map<string, { id: string; keeper: Actor }>;
  /** Events to look at in the end. */
  readonly marks: Map<string, { roomId: string; eventId: string }>;
};

async function open(stage: Stage, name: string, keeper: Actor, body: JsonObject): Promise<string> {
  const id = await keeper.main.createRoom(body);
  stage.rooms.set(name, { id, keeper });
  return id;
}

function roomOf(stage: Stage, name: string): string {
  const room = stage.rooms.get(name);
  if (room === undefined) throw new Error(`there is no room ${name}`);
  return room.id;
}

const join = (session: Session, roomId: string) => session.inRoom("POST", roomId, "join");
const leave = (session: Session, roomId: string) => session.inRoom("POST", roomId, "leave");
const invite = (session: Session, roomId: string, guest: Session) =>
  session.inRoom("POST", roomId, "invite", { user_id: guest.userId });
const visibility = (history_visibility: string) => ({
  type: "m.room.history_visibility",
  state_key: "",
  content: { history_visibility },
});

/** Rooms of every kind, with invites that are open, accepted and not yet seen. */
async function furnish(stage: Stage): Promise<void> {
  const { alice, bob, carol, dave, erin, frank } = stage.cast;
  const lounge = await open(stage, "lounge", alice, {
    preset: "public_chat",
    name: "Lounge",
    topic: "Anything",
    room_version: "10",
    room_alias_name: "lounge",
  });
  for (const { main } of [bob, carol, dave, frank]) await join(main, lounge);
  await alice.main.sendText(lounge, "Welcome");
  const chat = await open(stage, "chat", alice, {
    preset: "trusted_private_chat",
    is_direct: true,
    invite: [bob.main.userId],
  });
  await join(bob.main, chat);
  await alice.main.setAccountData("m.direct", { [bob.main.userId]: [chat] });
  const attic = await open(stage, "attic", alice, {
    name: "Attic",
    initial_state: [visibility("joined")],
    invite: [carol.main.userId],
  });
  await alice.main.sendText(attic, "Before Carol came");
  const cellar = await open(stage, "cellar", alice, {
    name: "Cellar",
    room_version: "11",
    initial_state: [visibility("invited")],
  });
  await alice.main.sendText(cellar, "Before Bob was invited");
  await invite(alice.main, cellar, bob.main);
  await alice.main.sendText(cellar, "After Bob was invited");
  const square = await open(stage, "square", alice, {
    preset: "public_chat",
    initial_state: [visibility("world_readable")],
    power_level_content_override: { events: { "m.room.topic": 0 } },
  });
  await join(bob.main, square);
  await open(stage, "vault", alice, {
    name: "Vault",
    initial_state: [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }],
    invite: [bob.main.userId, dave.main.userId],
  });
  await join(bob.main, roomOf(stage, "vault"));
  await open(stage, "street", alice, { name: "Street", creation_content: { type: "m.space" }, room_version: "12" });
  await alice.main.setState(roomOf(stage, "street"), "m.space.child", { via: ["hs1"] }, lounge);
  await open(stage, "gate", alice, {
    name: "Gate",
    initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
  });
  await erin.main.call("POST", `v3/knock/${encodeURIComponent(roomOf(stage, "gate"))}`, { reason: "Let me in" });
}

/** Messages and what refers to them, receipts, typing, tags, account data, keys and to-device messages. */
async function talk(stage: Stage): Promise<void> {
  const { alice, bob, carol, dave, erin } = stage.cast;
  const lounge = roomOf(stage, "lounge");
  const hello = await bob.main.sendText(lounge, "Helo");
  const edit = { msgtype: "m.text", body: "Hello" };
  const replaces = { rel_type: "m.replace", event_id: hello };
  await bob.main.send(lounge, "m.room.message", { ...edit, "m.new_content": edit, "m.relates_to": replaces });
  const reactionTo = (event_id: string, key: string) => ({
    "m.relates_to": { rel_type: "m.annotation", event_id, key },
  });
  await carol.main.send(lounge, "m.reaction", reactionTo(hello, "wave"));
  const inThread = { rel_type: "m.thread", event_id: hello };
  await dave.main.send(lounge, "m.room.message", { msgtype: "m.text", body: "Aside", "m.relates_to": inThread });
  const slip = await carol.main.sendText(lounge, "A slip");
  await carol.main.redact(lounge, slip, "a slip");
  const topic = await alice.main.setState(lounge, "m.room.topic", { topic: "Nothing" });
  await alice.main.redact(lounge, topic, "no topic");
  await alice.main.send(lounge, "m.room.message", {
    msgtype: "m.text",
    body: "Bob: look",
    "m.mentions": { user_ids: [bob.main.userId] },
  });
  await alice.main.send(roomOf(stage, "vault"), "m.room.encrypted", {
    algorithm: "m.megolm.v1.aes-sha2",
    ciphertext: "secret",
    session_id: "one",
  });
  const cellar = roomOf(stage, "cellar");
  const regret = await alice.main.sendText(cellar, "A regret");
  await alice.main.redact(cellar, regret, "regretted");
  await alice.main.sendText(roomOf(stage, "chat"), "Dear Bob");
  await invite(alice.main, roomOf(stage, "attic"), erin.main);
  await alice.main.inRoom("POST", roomOf(stage, "attic"), "kick", { user_id: erin.main.userId, reason: "a mistake" });
  stage.marks.set("hello", { roomId: lounge, eventId: hello });
  stage.marks.set("slip", { roomId: lounge, eventId: slip });
  await markRead(stage, hello);
  await accountDataAndDevices(stage);
}

async function markRead(stage: Stage, eventId: string): Promise<void> {
  const { bob, carol, dave } = stage.cast;
  const lounge = roomOf(stage, "lounge");
  const at = encodeURIComponent(eventId);
  await bob.main.inRoom("POST", lounge, `receipt/m.read/${at}`);
  await carol.main.inRoom("POST", lounge, `receipt/m.read.private/${at}`);
  await dave.main.inRoom("POST", lounge, `receipt/m.read/${at}`, { thread_id: "main" });
  await bob.main.inRoom("POST", lounge, "read_markers", { "m.fully_read": eventId });
  await setTyping(carol, lounge, true);
}

async function setTyping({ main }: Actor, roomId: string, typing: boolean): Promise<void> {
  await main.inRoom("PUT", roomId, `typing/${encodeURIComponent(main.userId)}`, { typing, timeout: 120_000 });
}

async function accountDataAndDevices(stage: Stage): Promise<void> {
  const { alice, bob } = stage.cast;
  const lounge = encodeURIComponent(roomOf(stage, "lounge"));
  const owner = encodeURIComponent(alice.main.userId);
  await alice.main.call("PUT", `v3/user/${owner}/rooms/${lounge}/tags/m.favourite`, { order: 0.5 });
  await alice.main.setAccountData("org.example.colour", { colour: "blue" }, roomOf(stage, "lounge"));
  await alice.main.setAccountData("org.example.theme", { theme: "dark" });
  await alice.main.sendToDevice("org.example.note", { [bob.main.userId]: { BOB1: { note: 1 }, BOB2: { note: 2 } } });
  await alice.main.sendToDevice("org.example.note", { [bob.main.userId]: { "*": { note: 3 } } });
  await bob.main.call("POST", "v3/keys/upload", deviceKeys(bob.main));
}

function deviceKeys({ userId, deviceId }: Session): JsonObject {
  const signatures = { [userId]: { [`ed25519:${deviceId}`]: "c2lnbmF0dXJl" } };
  return {
    device_keys: {
      user_id: userId,
      device_id: deviceId,
      algorithms: ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
      keys: { [`curve25519:${deviceId}`]: "Y3VydmU", [`ed25519:${deviceId}`]: "ZWQ" },
      signatures,
    },
    one_time_keys: {
      "signed_curve25519:AAAAAA": { key: "b25l", signatures },
      "signed_curve25519:AAAAAB": { key: "dHdv", signatures },
    },
    fallback_keys: { "signed_curve25519:AAAAAC": { key: "ZmFsbA", fallback: true, signatures } },
  };
}

/** Leaves, kicks, bans, rejections and retractions. */
async function go(stage: Stage): Promise<void> {
  const { alice, bob, carol, dave, erin } = stage.cast;
  const lounge = roomOf(stage, "lounge");
  await leave(carol.main, lounge);
  await alice.main.sendText(lounge, "While Carol was away");
  await join(erin.main, lounge);
  await erin.main.sendText(lounge, "Buy now");
  await alice.main.inRoom("POST", lounge, "kick", { user_id: dave.main.userId, reason: "noise" });
  await alice.main.inRoom("POST", lounge, "ban", { user_id: erin.main.userId, reason: "spam" });
  await alice.main.sendText(lounge, "Quiet again");
  await leave(dave.main, roomOf(stage, "vault"));
  await leave(bob.main, roomOf(stage, "chat"));
}

/** Returns, and first arrivals. */
async function comeBack(stage: Stage): Promise<void> {
  const { alice, bob, carol, dave, erin } = stage.cast;
  await join(carol.main, roomOf(stage, "lounge"));
  const square = roomOf(stage, "square");
  await join(dave.main, square);
  await alice.main.inRoom("POST", square, "ban", { user_id: dave.main.userId });
  await alice.main.inRoom("POST", square, "unban", { user_id: dave.main.userId });
  await join(dave.main, square);
  await dave.main.setState(square, "m.room.topic", { topic: "Pigeons" });
  const attic = roomOf(stage, "attic");
  await join(carol.main, attic);
  stage.marks.set("arrival", { roomId: attic, eventId: await carol.main.sendText(attic, "Carol is here") });
  await join(bob.main, roomOf(stage, "cellar"));
  await invite(alice.main, roomOf(stage, "gate"), erin.main);
}

/** More happens in one room than an answer may carry, state included; and one device has more messages waiting than fit. */
async function fallBehind(stage: Stage): Promise<void> {
  const { alice, bob, carol } = stage.cast;
  const lounge = roomOf(stage, "lounge");
  for (let i = 0; i < GAP_EVENTS; i++) {
    if (i === 10) await alice.main.setState(lounge, "m.room.name", { name: "Old lounge" });
    if (i === 20)
      await carol.main.setState(
        lounge,
        "m.room.member",
        { membership: "join", displayname: "Caroline" },
        carol.main.userId,
      );
    if (i === 30) await alice.main.setState(lounge, "m.room.name", { name: "Long lounge" });
    await (i % 2 === 0 ? alice : bob).main.sendText(lounge, `Chatter ${i}`);
  }
  for (let i = 0; i < TO_DEVICE_MESSAGES; i++) {
    await alice.main.sendToDevice("org.example.note", { [bob.main.userId]: { BOB1: { note: 100 + i } } });
  }
  const wide = { presence: { types: [] }, room: { timeline: { limit: 150 } } };
  const since = stage.recorder.tokenOf(carol, "full");
  const limited = await stage.recorder.extraSync("gap", "next with a timeline of 150", carol, {
    device: "other",
    filter: wide,
    since,
  });
  await scrollBack(stage, carol, lounge, limited);
  await stage.recorder.extraSync("gap", "initial with a timeline of 150", carol, { device: "other", filter: wide });
  await alice.main.sendText(lounge, "After the gap");
  await stage.recorder.extraSync("gap", "repeated initial", carol, { device: "other", filter: wide });
  await stage.recorder.point("gap");
}

/** Reads on from where a limited timeline begins, to where the last answer ended. */
async function scrollBack({ recorder }: Stage, actor: Actor, roomId: string, limited: SyncAnswer): Promise<void> {
  const from = encodeURIComponent(limited.rooms?.join?.[roomId]?.timeline.prev_batch ?? "");
  const to = encodeURIComponent(recorder.tokenOf(actor, "full"));
  const messages = `v3/rooms/${encodeURIComponent(roomId)}/messages`;
  const lazily = encodeURIComponent(JSON.stringify({ lazy_load_members: true }));
  await recorder.read("gap", "scrolls back", actor, `${messages}?dir=b&limit=12&from=${from}`);
  await recorder.read(
    "gap",
    "scrolls back to the last token",
    actor,
    `${messages}?dir=b&limit=200&from=${from}&to=${to}`,
  );
  await recorder.read("gap", "scrolls back lazily", actor, `${messages}?dir=b&limit=5&from=${from}&filter=${lazily}`);
  await recorder.read("gap", "scrolls forward", actor, `${messages}?dir=f&limit=12&from=${from}`);
}

/** A long poll that an event ends, be it awaited or already there, and the first poll of a device whose rooms another one brings. */
async function pollRarely({ cast, recorder, rooms }: Stage): Promise<void> {
  const { alice, frank } = cast;
  const since = recorder.tokenOf(frank, "full");
  const noRooms = { presence: { types: [] }, account_data: { types: [] }, room: { rooms: [] } };
  const polled = recorder.extraSync("the end", "long poll", frank, {
    device: "main",
    since,
    timeout: 30_000,
    filter: { presence: { types: [] } },
  });
  await alice.main.sendText(rooms.get("lounge")?.id ?? "", "Wake up");
  await polled;
  for (const actor of [cast.alice, cast.bob]) {
    await recorder.extraSync("the end", "initial without rooms", actor, { device: "other", filter: noRooms });
  }
}

/** History visibility changes while people are out, invited and in. */
async function changeWhoSees(stage: Stage): Promise<void> {
  const { alice, bob, carol, dave } = stage.cast;
  const attic = roomOf(stage, "attic");
  for (const kind of ["shared", "invited", "joined", "world_readable"]) {
    await alice.main.setState(attic, "m.room.history_visibility", { history_visibility: kind });
    await alice.main.sendText(attic, `Now ${kind}`);
    if (kind === "invited") await invite(alice.main, attic, bob.main);
    if (kind === "joined") await leave(carol.main, attic);
  }
  await join(bob.main, attic);
  await alice.main.setState(attic, "m.room.history_visibility", { history_visibility: "joined" });
  await bob.main.sendText(attic, "Nobody else hears this");
  await alice.main.setState(attic, "m.room.join_rules", { join_rule: "public" });
  await join(carol.main, attic);
  await join(dave.main, attic);
  await dave.main.sendText(attic, "Dave is here");
}

async function ignore(stage: Stage): Promise<void> {
  const { alice, bob, dave } = stage.cast;
  await bob.main.setAccountData("m.ignored_user_list", { ignored_users: { [dave.main.userId]: {} } });
  const square = roomOf(stage, "square");
  await dave.main.sendText(square, "Bob does not hear this");
  await dave.main.setState(square, "m.room.topic", { topic: "Bob does see this" });
  await alice.main.sendText(square, "Bob hears this");
  await open(stage, "den", dave, { name: "Den", invite: [bob.main.userId, alice.main.userId] });
}

async function tidyUp(stage: Stage): Promise<void> {
  const { alice, bob, carol } = stage.cast;
  const lounge = roomOf(stage, "lounge");
  await setTyping(carol, lounge, false);
  const last = await alice.main.sendText(lounge, "Good night");
  for (const { main } of [alice, bob]) await main.inRoom("POST", lounge, `receipt/m.read/${encodeURIComponent(last)}`);
  await alice.main.setAccountData("org.example.theme", {});
  await alice.main.call(
    "DELETE",
    `v3/user/${encodeURIComponent(alice.main.userId)}/rooms/${encodeURIComponent(lounge)}/tags/m.favourite`,
  );
  await bob.main.setAccountData("m.ignored_user_list", { ignored_users: {} });
  const attic = roomOf(stage, "attic");
  await leave(carol.main, attic);
  await carol.main.inRoom("POST", attic, "forget");
}

/** The rarer kinds of sync, and the calls besides `/sync` that tell the same story. */
async function lookElsewhere({ cast, recorder, rooms, marks }: Stage): Promise<void> {
  const at = "elsewhere";
  const withLeft = { presence: { types: [] }, room: { include_leave: true, timeline: { limit: 5 } } };
  const oneRoom = { presence: { types: [] }, room: { rooms: [rooms.get("lounge")?.id ?? ""] } };
  for (const person of PEOPLE) {
    const actor = cast[person];
    await recorder.extraSync(at, "initial with left rooms", actor, { device: "other", filter: withLeft });
    const since = recorder.tokenOf(actor, "full");
    await recorder.extraSync(at, "next with full state", actor, {
      device: "main",
      since,
      fullState: true,
      filter: oneRoom,
    });
    const read = (call: string, path: string) => recorder.read(at, call, actor, path);
    const user = `v3/user/${encodeURIComponent(actor.main.userId)}`;
    await read("who am I", "v3/account/whoami");
    await read("joined rooms", "v3/joined_rooms");
    for (const type of ["m.direct", "m.ignored_user_list", "org.example.theme", "org.example.nothing"]) {
      await read(`account data ${type}`, `${user}/account_data/${type}`);
    }
    for (const [name, { id }] of rooms) {
      const room = `v3/rooms/${encodeURIComponent(id)}`;
      await read(`state of ${name}`, `${room}/state`);
      await read(`name of ${name}`, `${room}/state/m.room.name/`);
      await read(`members of ${name}`, `${room}/members`);
      await read(`members of ${name} who are there`, `${room}/members?membership=join`);
      await read(`joined members of ${name}`, `${room}/joined_members`);
      await read(`messages of ${name}`, `${room}/messages?dir=b&limit=200`);
      await read(`colour of ${name}`, `${user}/rooms/${encodeURIComponent(id)}/account_data/org.example.colour`);
    }
    for (const [name, { roomId, eventId }] of marks) {
      const room = `v3/rooms/${encodeURIComponent(roomId)}`;
      await read(`context of ${name}`, `${room}/context/${encodeURIComponent(eventId)}?limit=6`);
      await read(`event ${name}`, `${room}/event/${encodeURIComponent(eventId)}`);
    }
  }
}

/** Names each event after its room and its place there, as the room's keeper sees it. */
async function nameEverything({ rooms }: Stage): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const [name, { id, keeper }] of rooms) {
    names.set(id, `!${name}`);
    const history = await historyOf(keeper.main, id);
    history.forEach((event, i) => {
      names.set(event.event_id, `$${name}/${i} ${event.type}`);
    });
  }
  return names;
}

async function historyOf(session: Session, roomId: string): Promise<{ event_id: string; type: string }[]> {
  const events: { event_id: string; type: string }[] = [];
  let from = "";
  for (;;) {
    const page = await session.inRoom<{ chunk: typeof events; end?: string }>(
      "GET",
      roomId,
      `messages?dir=b&limit=100${from}`,
    );
    events.unshift(...page.chunk.toReversed());
    if (page.end === undefined || page.chunk.length === 0) return events;
    from = `&from=${encodeURIComponent(page.end)}`;
  }
}
