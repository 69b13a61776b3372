import { describe, expect, test } from "@jest/globals";
import { ChangeFlag } from "../../../src/model/change.ts";
import { DraftedRoom, seen } from "../../support/drafted-room.ts";
import { bobs, partly } from "../../support/partly-drafted-room.ts";
import { create, inRoom, messages } from "../../support/v2-events.ts";

const { history } = ChangeFlag;

describe("what one who ignores somebody brought first", () => {
  const ignoring = { ...bobs, ignoresSomebody: true };
  /** Events with `*` where their chunk is for one user alone. */
  const attested = (room: DraftedRoom) =>
    room
      .timeline()
      .map(({ eventId, chunk }) => eventId.slice(1) + (room.chunks.get(chunk!)?.attestedFor === undefined ? "" : "*"))
      .join(" ");

  test("is for everybody when another stream brings it after what it had before", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$b", "$c", "$d")), { ...ignoring, ...seen("$a") });
    expect([room.line(), attested(room)]).toEqual(["a ~ b c d", "a b* c* d*"]);
    const first = room.fold("join", inRoom(messages("$b")), seen("$a"));
    expect([room.line(), attested(room), first.flags]).toEqual(["a b ~ c d", "a b c* d*", history]);
    room.fold("join", inRoom(messages("$c", "$d", "$e")), seen("$b"));
    expect([room.line(), attested(room)]).toEqual(["a b c d e", "a b c d e"]);
    expect(room.row.lastChunk).toBe(room.timeline()[0]!.chunk);
  });

  test("is for everybody together with what they were not shown of it", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$b", "$d")), { ...ignoring, ...seen("$a") });
    room.fold("join", inRoom(messages("$b", "$c", "$d")), seen("$a"));
    expect([room.line(), attested(room)]).toEqual(["a b c d", "a b c d"]);
  });

  test("is for everybody, and what comes after it, where its stream repeats what it had last", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$b", "$d")), { ...ignoring, ...seen("$a") });
    room.fold("join", inRoom(messages("$b", "$c", "$d")), seen("$b"));
    expect([room.line(), attested(room)]).toEqual(["a | b c d", "a b c d"]);
  });

  test("has a hole before it where another stream begins with it", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$b", "$c", "$d", "$e")), { ...ignoring, ...seen("$a") });
    room.fold("join", inRoom(messages("$c", "$d"), { limited: true }), { poll: "first" });
    expect([room.line(), attested(room)]).toEqual(["a ~ b | c d ~ e", "a b* c d e*"]);
    room.fold("join", inRoom(messages("$a", "$b", "$c"), { limited: true }), { poll: "first" });
    expect([room.line(), attested(room)]).toEqual(["a b ~ c d ~ e", "a b c d e*"]);
  });

  test("begins the room for everybody, where it does", () => {
    const room = new DraftedRoom();
    room.fold("join", inRoom([create(), ...messages("$a")]), ignoring);
    room.fold("join", inRoom([create(), ...messages("$a", "$b")]), { poll: "first" });
    expect([room.line(), attested(room)]).toEqual(["create a b", "create a b"]);
    expect(room.chunks.get(room.timeline()[0]!.chunk!)).toMatchObject({ isStart: true, attestedFor: undefined });
  });

  test("stays theirs beyond what another stream does not have", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$b", "$c", "$d")), { ...ignoring, ...seen("$a") });
    room.fold("join", inRoom(messages("$b", "$d"), { limited: true }), { poll: "first" });
    expect([room.line(), attested(room)]).toEqual(["a ~ b c | d", "a b* c* d"]);
  });

  test("stays theirs with the stream of another who ignores somebody", () => {
    const room = partly("$a");
    room.fold("join", inRoom(messages("$b")), { ...ignoring, ...seen("$a") });
    room.fold("join", inRoom(messages("$b")), { ...seen("$a"), ignoresSomebody: true });
    expect(attested(room)).toBe("a b*");
  });
});
