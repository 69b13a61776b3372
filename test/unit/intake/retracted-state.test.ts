import { describe, expect, test } from "@jest/globals";
import { foldSection } from "../../../src/intake/ingest/fold-section.ts";
import type { Source } from "../../../src/intake/ingest/source.ts";
import { parseSection } from "../../../src/intake/response/parsed-section.ts";
import { emptySection } from "../../../src/intake/response/room-section.ts";
import { ChangeFlag } from "../../../src/model/change.ts";
import type { RoomId, UserId, UserNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import { DraftedRoom, ROOM } from "../../support/drafted-room.ts";
import { ALICE, create, member, name, state, visibility } from "../../support/v2-events.ts";

const JOINED = member("$alice", ALICE, "join");

/** A room that has the events as its state, in the order of their positions. */
function stored(...events: readonly object[]): DraftedRoom {
  const room = new DraftedRoom();
  room.fold("join", { state: { events: [create(), JOINED, ...events] } }, { poll: "first" });
  return room;
}

/** The homeserver, asked as Alice, has no value for the keys. */
function gone(room: DraftedRoom, keys: readonly (readonly [string, string])[], more: Partial<Source> = {}) {
  const section = {
    ...parseSection(emptySection("join", ROOM as RoomId), () => {}),
    absent: keys.map(([type, stateKey]) => ({ type, stateKey })),
  };
  const source: Source = {
    userNid: 1 as UserNid,
    userId: ALICE as UserId,
    deviceNid: 1,
    ignoresSomebody: true,
    poll: "asked",
    storedBefore: room.position,
    toldUpTo: undefined,
    lastSeen: new Map(),
    nowUs: 1,
    ...more,
  };
  const draft = room.draft();
  const { changes } = foldSection(draft, section, source, room, undefined);
  room.store(draft, changes);
  return { flags: changes[0]?.flags ?? 0, contests: draft.contests, writes: draft.writes };
}

describe("a value that the homeserver has no more", () => {
  test("is gone, and the room's columns with it", () => {
    const room = stored(name("$name", "Name"), state("$avatar", "m.room.avatar", { url: "mxc://a/b" }));
    const { flags, writes } = gone(room, [
      ["m.room.name", ""],
      ["m.room.avatar", ""],
    ]);
    expect([room.current("m.room.name"), room.current("m.room.avatar")]).toEqual([undefined, undefined]);
    expect([room.row.name, room.row.avatar]).toEqual([undefined, undefined]);
    expect(flags).toBe(ChangeFlag.columns | ChangeFlag.state | ChangeFlag.history);
    expect(writes.state.map(({ nid, previous }) => [nid, typeof previous])).toEqual([
      [undefined, "number"],
      [undefined, "number"],
    ]);
  });

  test("stays where it was stored after the homeserver was asked, which is asked again", () => {
    const room = stored();
    const storedBefore = room.position;
    room.fold("join", { timeline: { events: [name("$new", "New")] } });
    const { flags, contests } = gone(room, [["m.room.name", ""]], { storedBefore });
    expect([room.current("m.room.name"), flags]).toEqual(["$new", 0]);
    expect(contests).toMatchObject([{ kind: "state", type: "m.room.name", isMissing: false }]);
  });

  test.each([
    ["m.room.create", "$create"],
    ["m.room.encryption", "$encryption"],
  ])("stays where a room never loses it (%s)", (type, eventId) => {
    const room = stored(state("$encryption", "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" }));
    expect(gone(room, [[type, ""]]).flags).toBe(0);
    expect([room.current(type), room.row.isEncrypted, room.row.isComplete]).toEqual([eventId, true, true]);
  });

  test("leaves what holds without it: a room's history is shared", () => {
    const room = stored(visibility("$joined", "joined"));
    gone(room, [["m.room.history_visibility", ""]]);
    expect(room.row.historyVisibility).toBe(Visibility.shared);
  });

  test("does not come back with a response that was asked for before; what is set later counts", () => {
    const room = stored(name("$name", "Name"));
    const storedBefore = room.position;
    gone(room, [["m.room.name", ""]]);
    room.fold("join", { state: { events: [name("$name", "Name")] } }, { storedBefore });
    expect(room.current("m.room.name")).toBeUndefined();
    room.fold("join", { timeline: { events: [name("$later", "Later")] } });
    expect([room.current("m.room.name"), room.row.name]).toEqual(["$later", "Later"]);
  });

  test("is nothing new where there is none", () => {
    const room = stored();
    expect(gone(room, [["m.room.topic", ""]]).flags).toBe(0);
    gone(room, [["m.room.name", ""]], { storedBefore: room.position as StreamPosition });
    expect(gone(room, [["m.room.name", ""]]).flags).toBe(0);
  });
});
