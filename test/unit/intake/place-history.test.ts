import { describe, expect, test } from "@jest/globals";
import { ChangeFlag } from "../../../src/model/change.ts";
import type { EventId, RoomId, UserId, UserNid } from "../../../src/model/ids.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import { DraftedRoom, ROOM } from "../../support/drafted-room.ts";
import {
  ALICE,
  BOB,
  create,
  inRoom,
  member,
  message,
  messages,
  name,
  state,
  type V2Event,
  visibility,
} from "../../support/v2-events.ts";

const { joined, shared, unknown, worldReadable } = Visibility;
const bobs = { userNid: 2 as UserNid, userId: BOB as UserId };

/** Alice's room, `a b | x y`, where what is missing is asked for by a token that stands right before `x`. */
function withHole(more: object = {}): DraftedRoom {
  const room = new DraftedRoom();
  const before = [create(), member("$alice", ALICE, "join"), name("$name", "Garden")];
  room.fold("join", inRoom(messages("$a", "$b"), { limited: true, state: before }), { poll: "first" });
  room.fold("join", inRoom(messages("$x", "$y"), { limited: true, prevBatch: "t" }), more);
  expect(room.line()).toBe("a b | x y");
  return room;
}

const leadingTo = (eventId: string) => ({ lastSeen: new Map([[ROOM as RoomId, eventId as EventId]]) });

const page = (events: readonly V2Event[], prevBatch = "older") => inRoom(events, { prevBatch, after: [] });

const line = (room: DraftedRoom) => ({ line: room.line(), tokens: [...room.tokens.values()] });

describe("older events", () => {
  test.each([
    ["before the event that they lead to", ["$c", "$d"], leadingTo("$x"), "a b | c d x y", ["t", "older"]],
    ["up to what is known before the hole", ["$b", "$c", "$d"], leadingTo("$x"), "a b c d ~ x y", ["t", "older"]],
    ["that are known already", ["$a", "$b"], leadingTo("$x"), "a b ~ x y", ["t", "older"]],
    ["with known ones after the hole", ["$c", "$d", "$x"], {}, "a b | c d x y", ["t", "older"]],
    ["with known ones on both sides of it", ["$b", "$c", "$x", "$y"], {}, "a b c ~ x y", ["t", "older"]],
    ["but for news after what is known", ["$c", "$x", "$y", "$z"], {}, "a b | c x y", ["t", "older"]],
  ] as const)("are put in: %s", (_name, events, more, expected, tokens) => {
    const room = withHole();
    const { flags } = room.foldHistory(page(messages(...events)), more);
    expect(line(room)).toEqual({ line: expected, tokens });
    expect(flags).toBe(ChangeFlag.history);
  });

  test.each([
    ["no event of which is known", ["$c", "$d"], {}],
    ["before one that is not known", ["$c", "$d"], leadingTo("$unknown")],
    ["in another order than the room's", ["$x", "$c", "$b"], {}],
    ["before what they put in another order", ["$c", "$x", "$b"], {}],
    ["between neighbours", ["$a", "$c", "$b"], {}],
    ["before an event that nothing is missing before", ["$c", "$b"], {}],
    ["with another event missing from them", ["$a", "$c", "$x"], {}],
    ["after what is known to be the newest", ["$y", "$c", "$x"], {}],
    ["that lead to an event which stands before them", ["$c", "$x", "$y", "$d"], leadingTo("$a")],
  ] as const)("are left out: %s", (_name, events, more) => {
    const room = withHole();
    const { flags } = room.foldHistory(page(messages(...events)), more);
    expect([room.line(), flags]).toEqual(["a b | x y", 0]);
    expect(room.events.has("$c")).toBe(false);
  });

  test("change nothing of the room as it is now, whatever they say", () => {
    const room = withHole();
    room.fold("join", inRoom([member("$bob", BOB, "join")]), { ...bobs, poll: "first" });
    const { row, activity, bump, state: stored } = room;
    const memberships = [...room.memberships];
    const keys = new Map(stored);
    const older = [
      name("$oldName", "Cellar"),
      member("$left", ALICE, "leave"),
      member("$back", ALICE, "join"),
      member("$bobLeft", BOB, "leave"),
      state("$enc", "m.room.encryption", { algorithm: "none" }),
      message("$late", { origin_server_ts: 9_000_000_000_000 }),
    ];
    const { writes, flags } = room.foldHistory(page(older), leadingTo("$x"));
    expect(room.line()).toBe("a b | oldName left back bobLeft enc late x y | bob");
    expect(flags).toBe(ChangeFlag.history);
    expect<unknown>([room.row, room.activity, room.bump]).toEqual([row, activity, bump]);
    expect<unknown>([room.state, [...room.memberships]]).toEqual([keys, memberships]);
    expect(writes).toMatchObject({ state: [], memberships: [], personal: [], redactedState: [] });
  });

  test("reach the beginning of the room", () => {
    const room = withHole();
    const begin = [create(), member("$alice", ALICE, "join"), visibility("$visible", "shared"), message("$1")];
    room.foldHistory(page(begin), leadingTo("$a"));
    expect(room.line()).toBe("create alice visible 1 a b | x y");
    const first = room.timeline()[0];
    expect([...room.chunks.values()].filter(({ isStart }) => isStart)).toMatchObject([{ chunk: first?.chunk }]);
  });

  test("are attested for everybody, and for one who ignores somebody where their own stream is", () => {
    const everybody = withHole();
    everybody.foldHistory(page(messages("$c")), { ...leadingTo("$x"), ignoresSomebody: true });
    expect(everybody.line()).toBe("a b | x y");
    const own = withHole({ ignoresSomebody: true });
    own.foldHistory(page(messages("$b", "$c")), { ...bobs, ...leadingTo("$x"), ignoresSomebody: true });
    expect(own.line()).toBe("a b | x y");
    own.foldHistory(page(messages("$c")), { ...leadingTo("$x"), ignoresSomebody: true });
    expect(own.line()).toBe("a b | c x y");
    const chunk = own.timeline().at(-1)?.chunk;
    expect(own.chunks.get(chunk!)?.attestedFor).toBe(1);
  });

  test.each([
    ["all is open", shared, [], "c d x y", [shared, shared]],
    ["anybody may read", worldReadable, [], "c d x y", [worldReadable, worldReadable]],
    ["it is for members", joined, [], "x y", []],
    ["it is not known", unknown, [], "x y", []],
    ["it was opened between", shared, [visibility("$open", "shared")], "d x y", [shared]],
    ["it was closed between", joined, [visibility("$closed", "joined")], "x y", []],
  ] as const)("are stored as far as all members may see them: %s", (_name, after, between, expected, inForce) => {
    const room = withHole();
    const events = [message("$c"), ...between, message("$d")];
    room.foldHistory(page(events), leadingTo("$x"), after);
    expect(room.line()).toBe(`a b | ${expected}`);
    const stored = room.timeline().filter(({ eventId }) => ["$c", "$d"].includes(eventId));
    expect(stored.map((event) => event.visibility)).toEqual(inForce);
    for (const { event_id: id } of events)
      expect(room.events.has(id)).toBe(room.line().split(" ").includes(id.slice(1)));
    expect([...room.tokens.values()]).toEqual(stored.length === 2 ? ["t", "older"] : ["t"]);
  });

  test("have the visibility that a change replaced", () => {
    const room = withHole();
    const change = {
      ...visibility("$change", "shared"),
      unsigned: { prev_content: { history_visibility: "world_readable" } },
    };
    room.foldHistory(page([message("$c"), change, message("$d")]), leadingTo("$x"));
    expect(
      room
        .timeline()
        .slice(2, 5)
        .map((event) => event.visibility),
    ).toEqual([worldReadable, worldReadable, shared]);
  });

  test("that were redacted before they came are stored in redacted form", () => {
    const room = withHole();
    const redaction = message("$r", { type: "m.room.redaction", content: { redacts: "$c" } });
    room.fold("join", inRoom([redaction]));
    room.foldHistory(page([message("$c")]), leadingTo("$x"));
    expect(room.line()).toBe("a b | c x y r");
    expect(String(room.events.get("$c")?.body)).not.toContain("body");
  });

  test("of a room that is set aside are left out", () => {
    const room = withHole();
    room.row = { ...room.row, quarantined: "bad" };
    expect(room.foldHistory(page(messages("$c")), leadingTo("$x")).changes).toEqual([]);
    expect(room.line()).toBe("a b | x y");
  });

  test("put themselves between the same neighbours when two users bring them", () => {
    const room = withHole();
    room.foldHistory(page(messages("$c", "$d")), leadingTo("$x"));
    const { flags } = room.foldHistory(page(messages("$b", "$c", "$d")), { ...bobs, ...leadingTo("$x") });
    expect([room.line(), flags]).toEqual(["a b ~ c d x y", ChangeFlag.history]);
    expect(room.foldHistory(page(messages("$b", "$c", "$d")), { ...bobs, ...leadingTo("$x") }).flags).toBe(0);
  });
});
