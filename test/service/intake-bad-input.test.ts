// Whatever a homeserver says: the rest of its response is stored, and its stream goes on.
import type { ServerResponse } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createRandom } from "../support/homeserver/random.ts";
import { type ScriptedStream, ScriptedStreams, type Step } from "../support/scripted-streams.ts";
import { create, inRoom, member, message, name, state, type V2Event } from "../support/v2-events.ts";

/** After so long without a byte a body counts as dead. */
const IDLE_MS = 500;

let world: ScriptedStreams;
const JSON_HEADERS = { "content-type": "application/json" };
/** Lets go of answers that wait for the test. */
const held: (() => void)[] = [];

beforeAll(async () => {
  world = await ScriptedStreams.start({ limits: { idleMs: IDLE_MS }, initialConcurrency: 1_000 });
});
afterAll(() => world[Symbol.asyncDispose]());

/** Ids of one stream end alike, so that streams never meet. */
const idIn = (tag: string, id: string) => `${id}.${tag}`;
const roomIn = (tag: string, room: string) => `!${room}.${tag}:test`;
const userIn = (tag: string) => `@${tag}:test`;

const own = (tag: string, event: V2Event): V2Event => ({ ...event, event_id: idIn(tag, event.event_id) });
const says = (tag: string, ...ids: readonly string[]) =>
  ids.map((id) => own(tag, message(id, { sender: userIn(tag) })));
const wholeRoom = (tag: string, room: string) =>
  inRoom([
    ...[create(`$${room}-create`), member(`$${room}-in`, userIn(tag), "join"), name(`$${room}-name`, room)].map(
      (each) => own(tag, each),
    ),
    ...says(tag, `$${room}-1`),
  ]);

/** A body whose rooms are raw JSON, in this order. */
function body(tag: string, nextBatch: string, rooms: Readonly<Record<string, string | object>>, rest: object = {}) {
  const texts = Object.entries(rooms).map(
    ([room, said]) => `"${roomIn(tag, room)}":${typeof said === "string" ? said : JSON.stringify(said)}`,
  );
  const others = JSON.stringify(rest).slice(1, -1);
  return `{"next_batch":"${nextBatch}","rooms":{"join":{${texts.join(",")}}}${others === "" ? "" : `,${others}`}}`;
}

const first = (tag: string, rooms: readonly string[] = ["good", "bad", "fine"]) =>
  body(tag, "s1", Object.fromEntries(rooms.map((room) => [room, wholeRoom(tag, room)])));
const ordinary = (tag: string, n: number, bad: string | object = inRoom(says(tag, `$bad-${n}`))) =>
  body(
    tag,
    `s${n}`,
    { good: inRoom(says(tag, `$good-${n}`)), bad, fine: inRoom(says(tag, `$fine-${n}`)) },
    { to_device: { events: [{ type: "m.test", sender: "@x:test", content: { n } }] } },
  );

/** A room's timeline in one line, ` | ` for a hole. */
async function line(tag: string, room: string): Promise<string> {
  const rows = await world.db.query<{ event_id: string; chunk: number }>({
    text: `SELECT e.event_id, e.chunk FROM events e JOIN rooms r USING (room)
            WHERE r.room_id = $1 AND e.order_key IS NOT NULL ORDER BY e.order_key`,
    values: [roomIn(tag, room)],
  });
  const short = (eventId: string) => eventId.slice(1).replace(`.${tag}`, "").replace(`${room}-`, "");
  return rows
    .map((row, index) => `${index > 0 && rows[index - 1]?.chunk !== row.chunk ? "| " : ""}${short(row.event_id)}`)
    .join(" ");
}

async function rowOf<Row extends object>(text: string, ...values: readonly unknown[]): Promise<Row | undefined> {
  const [row] = await world.db.query<Row>({ text, values });
  return row;
}

const roomRow = (tag: string, room: string) =>
  rowOf<{ quarantined: string | null; is_complete: boolean; is_encrypted: boolean }>(
    "SELECT * FROM rooms WHERE room_id = $1",
    roomIn(tag, room),
  );

/** What was set aside of the user's stream, by what it says of where. */
const asideOf = (tag: string): readonly string[] =>
  world.intake.log
    .filter(({ msg, user }) => msg.includes("set aside") && user === userIn(tag))
    .map(({ section, reason }) => `${String(section).replace(`.${tag}:test`, "")}: ${reason}`);

interface BadCase {
  readonly what: string;
  /** Raw JSON of the room. */
  readonly said: (tag: string) => string | object;
  readonly aside?: readonly string[];
  /** The room's timeline in the end. Default: what came before and after. */
  readonly line?: string;
  readonly quarantined?: boolean;
  readonly encrypted?: boolean;
  /** A query that gives a row. `$1`: the room's id, `$2`: the user's id. */
  readonly stored?: string;
}

const raw = (tag: string, id: string, rest: string) => `{"event_id":"${idIn(tag, id)}",${rest}}`;
const timelineOf = (...events: readonly string[]) => `{"timeline":{"events":[${events.join(",")}]}}`;
const from = (tag: string) => `"sender":"${userIn(tag)}","origin_server_ts":1000`;

const CURRENT = `SELECT FROM current_state s JOIN rooms r USING (room) JOIN events e USING (nid) WHERE r.room_id = $1`;
const BODY = "convert_from(body, 'UTF8')";
const IN_ROOM = "SELECT FROM events e JOIN rooms r USING (room) WHERE r.room_id = $1";
const START = "create in name 1";

const cases: readonly BadCase[] = [
  {
    what: "a message and a state event whose type is empty",
    said: (tag) => {
      const empty = `"type":"","content":{},${from(tag)}`;
      return timelineOf(raw(tag, "$a", empty), raw(tag, "$b", `"state_key":"",${empty}`));
    },
    line: `${START} a b 3`,
    stored: `${CURRENT} AND s.type = '' AND s.state_key = ''`,
  },
  {
    what: "numbers beyond 2^53",
    said: (tag) =>
      `{"timeline":{"events":[${raw(
        tag,
        "$a",
        `"type":"m.x","sender":"${userIn(tag)}","origin_server_ts":9007199254740993,"content":{"n":123456789012345678901,"e":1e400}`,
      )}]},"summary":{"m.joined_member_count":9007199254740993,"m.invited_member_count":1e400},
       "unread_notifications":{"notification_count":18446744073709551616,"highlight_count":-1},
       "ephemeral":{"events":[{"type":"m.receipt","content":{"$a":{"m.read":{"@x:test":{"ts":18446744073709551616}}}}}]}}`,
    line: `${START} a 3`,
    stored: `${IN_ROOM} AND ${BODY} LIKE '%"n":123456789012345678901,"e":1e400%'`,
  },
  {
    what: "half a character in a content",
    said: (tag) => timelineOf(raw(tag, "$a", `"type":"m.x","content":{"body":"\\ud800"},${from(tag)}`)),
    line: `${START} a 3`,
    stored: `${IN_ROOM} AND ${BODY} LIKE '%\\\\ud800%'`,
  },
  {
    what: "half a character where a message says who sent it",
    said: (tag) =>
      timelineOf(raw(tag, "$a", `"type":"m.x","content":{},"sender":"@\\udfff:test","origin_server_ts":1`)),
    aside: ["!bad m.x: sender is not a user id"],
  },
  {
    what: "half a character in the key of a state event",
    said: (tag) => timelineOf(raw(tag, "$a", `"type":"m.x","state_key":"\\ud800","content":{},${from(tag)}`)),
    aside: ["!bad m.x: state_key is not a text"],
    quarantined: true,
  },
  {
    what: "an event twice, and what was told before",
    said: (tag) => inRoom(says(tag, "$bad-1", "$a", "$b", "$a", "$b")),
    line: `${START} a b 3`,
  },
  {
    what: "events in another order than before",
    said: (tag) => inRoom([...says(tag, "$a", "$bad-1", "$b"), own(tag, name("$bad-name", "bad"))]),
    line: `${START} a b 3`,
  },
  {
    what: "an event in its state and in its timeline",
    said: (tag) => {
      const twice = own(tag, name("$a", "twice"));
      return inRoom([twice], { state: [twice] });
    },
    line: `${START} a 3`,
    stored: `${CURRENT} AND s.type = 'm.room.name' AND e.event_id LIKE '$a.%'`,
  },
  {
    what: "null for each of its sections",
    said: () =>
      `{"timeline":null,"state":null,"state_after":null,"ephemeral":null,"account_data":null,"summary":null,
        "unread_notifications":null,"unread_thread_notifications":null}`,
  },
  {
    what: "null inside of its sections",
    said: () =>
      `{"timeline":{"events":null,"limited":null,"prev_batch":null},"state":{"events":null},"ephemeral":{"events":null},
        "summary":{"m.heroes":null},"unread_notifications":{"highlight_count":null}}`,
  },
  { what: "null", said: () => "null" },
  { what: "a list", said: () => "[]", aside: ["!bad: not a room id with an object"] },
  {
    what: "what is no event",
    said: () => timelineOf("null", "5", '"text"', "[]", "{}"),
    aside: [...Array(4).fill("!bad: not a JSON object"), "!bad: type is not a text"],
  },
  {
    what: "state without content",
    said: (tag) => `{"state":{"events":[${raw(tag, "$a", `"type":"m.room.topic","state_key":"",${from(tag)}`)}]}}`,
    aside: ["!bad m.room.topic: content is not an object"],
    quarantined: true,
  },
  {
    what: "encryption without content",
    said: (tag) => timelineOf(raw(tag, "$a", `"type":"m.room.encryption","state_key":"",${from(tag)}`)),
    line: `${START} a 3`,
    encrypted: true,
  },
  {
    what: "members that are none",
    said: (tag) =>
      inRoom([
        own(tag, state("$a", "m.room.member", { membership: 5 }, { state_key: "@x:test" })),
        own(tag, state("$b", "m.room.member", {}, { state_key: userIn(tag), sender: userIn(tag) })),
        own(tag, state("$c", "m.room.member", { membership: "join" }, { state_key: "" })),
      ]),
    line: `${START} a b c 3`,
    stored: `SELECT FROM memberships JOIN users USING (user_nid) JOIN rooms USING (room)
              WHERE room_id = $1 AND user_id = $2 AND membership = 1`,
  },
  {
    what: "content as deep as it goes, that is redacted",
    said: (tag) => {
      const deep = `${'{"users":'.repeat(6_000)}1${"}".repeat(6_000)}`;
      const redaction = { type: "m.room.redaction", content: { redacts: idIn(tag, "$a") }, sender: userIn(tag) };
      return timelineOf(
        raw(tag, "$a", `"type":"m.room.power_levels","state_key":"","content":${deep},${from(tag)}`),
        JSON.stringify(own(tag, message("$r", redaction))),
      );
    },
    line: `${START} a r 3`,
  },
];

describe("a response with a room that has", () => {
  const tagOf = (index: number) => `bad${index}`;
  let streams: readonly ScriptedStream[];

  beforeAll(async () => {
    streams = await Promise.all(
      cases.map(({ said }, index) => {
        const tag = tagOf(index);
        const answers = { "": [first(tag)], s1: [ordinary(tag, 2, said(tag))], s2: [ordinary(tag, 3)] };
        return world.poll(tag, answers);
      }),
    );
  });

  test.each(
    cases.map((each, index) => [each.what, each, index] as const),
  )("%s is stored but for that, and the next one is", async (_, expected, index) => {
    const tag = tagOf(index);
    await world.reach("s3", [streams[index]!]);
    for (const room of ["good", "fine"]) {
      expect(await line(tag, room)).toBe(`${START} 2 3`);
      expect(await roomRow(tag, room)).toMatchObject({ quarantined: null, is_complete: true });
    }
    expect(await line(tag, "bad")).toBe(expected.line ?? `${START} 3`);
    expect(asideOf(tag)).toEqual(expected.aside ?? []);
    expect(await roomRow(tag, "bad")).toMatchObject({
      quarantined: expected.quarantined === true ? expect.any(String) : null,
      is_encrypted: expected.encrypted ?? false,
    });
    if (expected.stored !== undefined) {
      const values = [roomIn(tag, "bad"), userIn(tag)].slice(0, expected.stored.includes("$2") ? 2 : 1);
      expect(await world.db.query({ text: expected.stored, values })).toHaveLength(1);
    }
    // Each poll was answered once, and began where what is stored ends.
    for (const since of ["", "s1", "s2"]) expect(world.polls.get(`${tag} ${since}`)).toBe(1);
    expect(world.wrong).toEqual([]);
  });

  test("and whatever else, is counted by what was set aside", async () => {
    await world.reach("s3", streams);
    const expected = cases.flatMap(({ aside = [] }) => aside);
    const rooms = expected.filter((text) => text.endsWith("with an object")).length;
    expect(await world.intake.metric("slidecar_set_aside_total", { what: "room" })).toBe(rooms);
    const events = expected.length - rooms;
    expect(await world.intake.metric("slidecar_set_aside_total", { what: "event" })).toBe(events);
  });
});

test("a room whose creation no response had is whole with the one that has it", async () => {
  const tag = "uncreated";
  const joined = own(tag, member("$bad-in", userIn(tag), "join"));
  const stream = await world.poll(tag, {
    "": [first(tag, ["good", "fine"])],
    s1: [ordinary(tag, 2, inRoom([joined, ...says(tag, "$bad-1")]))],
    s2: [(response) => void held.push(() => response.writeHead(200, JSON_HEADERS).end(ordinary(tag, 3)))],
    s3: [ordinary(tag, 4, inRoom([], { state: [own(tag, create("$bad-create"))] }))],
  });
  await world.reach("s2", [stream]);
  expect(await roomRow(tag, "bad")).toMatchObject({ quarantined: null, is_complete: false });
  expect(await line(tag, "good")).toBe(`${START} 2`);
  for (const release of held) release();
  await world.reach("s4", [stream]);
  expect(await roomRow(tag, "bad")).toMatchObject({ quarantined: null, is_complete: true });
  expect([await line(tag, "good"), await line(tag, "bad")]).toEqual([`${START} 2 3 4`, "in 1 3"]);
});

test("a room that has more than fits into memory is set aside, and the rest of its response is stored", async () => {
  const tag = "heavy";
  const text = "x".repeat(1_000_000);
  const events = Array.from({ length: 70 }, (_, n) =>
    JSON.stringify(own(tag, message(`$bad-heavy${n}`, { content: { text } }))),
  );
  const before = await world.intake.metric("slidecar_set_aside_total", { what: "room" });
  const stream = await world.poll(tag, {
    "": [first(tag)],
    s1: [ordinary(tag, 2, timelineOf(...events))],
    s2: [ordinary(tag, 3)],
  });
  await world.reach("s3", [stream]);
  for (const room of ["good", "fine"]) expect(await line(tag, room)).toBe(`${START} 2 3`);
  expect(await line(tag, "bad")).toBe(`${START} | 3`);
  expect(await roomRow(tag, "bad")).toMatchObject({ quarantined: "more than 67108864 bytes in one response" });
  expect(await world.intake.metric("slidecar_set_aside_total", { what: "room" })).toBe(before + 1);
});

test("where a homeserver goes back to an earlier token, what it repeats is stored once", async () => {
  const tag = "backwards";
  const again = body(tag, "s4", { good: inRoom(says(tag, "$good-2", "$good-3", "$good-4")) });
  const stream = await world.poll(tag, {
    "": [first(tag)],
    s1: [ordinary(tag, 2), again],
    s2: [body(tag, "s1", { good: inRoom(says(tag, "$good-3")) })],
    s4: [body(tag, "s5", { good: inRoom(says(tag, "$good-5")) })],
  });
  await world.reach("s5", [stream]);
  expect(await line(tag, "good")).toBe(`${START} 2 3 4 5`);
  // All is asked for once more, since what was done meanwhile may be undone.
  expect(world.wrong.splice(0)).toEqual([`${tag} asks from , and s2 is stored`]);
});

describe("a poll is repeated from where it was", () => {
  const reply =
    (status: number, text = "{}", type = "application/json"): Step =>
    (response: ServerResponse) =>
      void response.writeHead(status, { "content-type": type, "retry-after": "0" }).end(text);
  const refused = [301, 304, 400, 403, 404, 408, 409, 410, 413, 418, 429, 500, 501, 502, 503, 504, 520];
  const faults: readonly (readonly [string, (whole: string) => Step])[] = [
    ...refused.map((status) => [`status ${status}`, () => reply(status)] as const),
    ["a page", () => reply(200, "<html>hello</html>", "text/html")],
    ["a page that is called JSON", () => reply(200, "<html>hello</html>")],
    ["a page of a proxy", () => reply(502, "<html>bad gateway</html>", "text/html")],
    ["204 and nothing", () => reply(204, "")],
    ["206 and a part", (whole) => reply(206, whole.slice(0, 200))],
    ["nothing", () => reply(200, "")],
    ["null", () => reply(200, "null")],
    ["more after its end", (whole) => reply(200, `${whole} x`)],
    ["a body without next_batch", (whole) => reply(200, whole.replace("next_batch", "next"))],
    ["half a character for a next_batch", (whole) => reply(200, whole.replace(/"s\d"/, '"\\ud800"'))],
    ["null for a next_batch", (whole) => reply(200, whole.replace(/"s\d"/, "null"))],
    ["a connection that is cut", () => (response) => void response.destroy()],
    [
      "a body that never ends",
      (whole) => (response) =>
        void response.writeHead(200, { "content-type": "application/json" }).write(whole.slice(0, -1)),
    ],
  ];

  test("after whatever answer, be it the first or one that follows", async () => {
    const streams = await Promise.all(
      faults.flatMap(([, fault], index) =>
        ["", "s1"].map((met, which) => {
          const tag = `fault${index}-${which}`;
          const answers = { "": [first(tag)], s1: [ordinary(tag, 2)], s2: [ordinary(tag, 3)] };
          const [whole] = answers[met as keyof typeof answers];
          return world.poll(tag, { ...answers, [met]: [fault(whole!), whole!] });
        }),
      ),
    );
    await world.reach("s3", streams);
    for (const { name: tag } of streams) {
      const met = tag.endsWith("0") ? "" : "s1";
      const polls = ["", "s1", "s2"].map((since) => world.polls.get(`${tag} ${since}`));
      expect([tag, ...polls]).toEqual([tag, ...["", "s1", "s2"].map((since) => (since === met ? 2 : 1))]);
      for (const room of ["good", "bad", "fine"]) expect([tag, await line(tag, room)]).toEqual([tag, `${START} 2 3`]);
      expect(await inbox(tag)).toBe(2);
    }
    expect(world.wrong).toEqual([]);
  });

  test("after a body that is cut at any byte, and ends as if it had not been", async () => {
    const random = createRandom(1);
    const rich = (tag: string) =>
      body(
        tag,
        "s2",
        {
          good: inRoom([...says(tag, "$good-2"), own(tag, name("$good-renamed", "new")), ...says(tag, "$good-3")], {
            summary: { "m.joined_member_count": 3 },
            unread_notifications: { notification_count: 2, highlight_count: 1 },
            ephemeral: { events: [{ type: "m.typing", content: { user_ids: ["@x:test"] } }] },
            account_data: { events: [{ type: "m.tag", content: { tags: {} } }] },
          }),
          new: wholeRoom(tag, "new"),
          fine: inRoom(says(tag, "$fine-2"), { limited: true, prevBatch: "p" }),
        },
        {
          account_data: { events: [{ type: "m.direct", content: {} }] },
          to_device: { events: [{ type: "m.test", sender: "@x:test", content: {} }] },
          device_lists: { changed: ["@x:test"], left: ["@y:test"] },
          device_one_time_keys_count: { signed_curve25519: 5 },
        },
      );
    const cutAt =
      (whole: string, at: number, isClean: boolean): Step =>
      (response) => {
        const bytes = Buffer.from(whole);
        const length = isClean ? at : bytes.length;
        response.writeHead(200, { "content-type": "application/json", "content-length": length });
        response.write(bytes.subarray(0, at), () => (isClean ? response.end() : response.destroy()));
        if (isClean && at === 0) response.end();
      };
    const tags = Array.from({ length: 41 }, (_, n) => `cut${n}`);
    const streams = await Promise.all(
      tags.map((tag, index) => {
        const whole = rich(tag);
        const cut = cutAt(whole, random.below(whole.length), index % 2 === 0);
        return world.poll(tag, { "": [first(tag)], s1: index === 0 ? [whole] : [cut, whole], s2: [ordinary(tag, 3)] });
      }),
    );
    await world.reach("s3", streams);
    const [uncut, ...others] = await Promise.all(tags.map(everything));
    expect(uncut).toContain("$good-renamed");
    for (const other of others) expect(other).toBe(uncut);
    expect(tags.filter((tag) => world.polls.get(`${tag} s1`) !== 2)).toEqual(["cut0"]);
    expect(world.wrong).toEqual([]);
  });
});

const inbox = async (tag: string): Promise<number | undefined> =>
  (
    await rowOf<{ count: number }>(
      "SELECT count(*)::int AS count FROM to_device_messages JOIN devices USING (device_nid) WHERE device_id = $1",
      tag,
    )
  )?.count;

/** What is stored of a stream and its rooms, but for numbers and times, as one text that is the same for all streams. */
async function everything(tag: string): Promise<string> {
  const of = "WHERE r.room_id LIKE '%.' || $1 || ':test'";
  const device = "JOIN devices d USING (device_nid) WHERE d.device_id = $1";
  const queries = [
    `SELECT r.room_id, name, joined_count, quarantined, is_complete FROM rooms r ${of} ORDER BY 1`,
    `SELECT r.room_id, e.event_id, e.type, ${BODY} AS body, e.order_key,
            (SELECT continues FROM chunks c WHERE c.chunk = e.chunk)
       FROM events e JOIN rooms r USING (room) ${of} ORDER BY 1, e.order_key, 2`,
    `SELECT r.room_id, s.type, s.state_key, e.event_id FROM current_state s JOIN rooms r USING (room)
       JOIN events e USING (nid) ${of} ORDER BY 1, 2, 3`,
    `SELECT r.room_id, membership, notification_count, highlight_count FROM memberships JOIN rooms r USING (room) ${of} ORDER BY 1`,
    `SELECT r.room_id, token FROM batch_tokens JOIN rooms r USING (room) ${of} ORDER BY 1, 2`,
    `SELECT r.room_id, user_ids FROM typing JOIN rooms r USING (room) ${of} ORDER BY 1`,
    `SELECT type, convert_from(body, 'UTF8') AS body FROM account_data JOIN users USING (user_nid)
      WHERE user_id = '@' || $1 || ':test' ORDER BY 1`,
    `SELECT convert_from(body, 'UTF8') AS body FROM to_device_messages ${device} ORDER BY sequence`,
    `SELECT user_id, has_left FROM device_list_log ${device} ORDER BY 1`,
    `SELECT since, convert_from(one_time_keys, 'UTF8') AS keys FROM devices d WHERE d.device_id = $1`,
  ];
  const rows = await Promise.all(queries.map((text) => world.db.query({ text, values: [tag] })));
  return JSON.stringify(rows, null, 1).replaceAll(new RegExp(`\\b${tag}\\b`, "g"), "TAG");
}
