import { createHash } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { type KnownPersonal, PersonalDraft } from "../../../src/intake/ingest/personal-draft.ts";
import type { Source } from "../../../src/intake/ingest/source.ts";
import type { ReceiptFact } from "../../../src/intake/response/ephemeral-facts.ts";
import { ChangeStream } from "../../../src/model/change.ts";
import type { RoomId, RoomNid, UserId, UserNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { accountDataKey, receiptKey } from "../../../src/store/known-personal.ts";
import { GLOBAL } from "../../../src/store/user-facts.ts";
import { DraftedRoom } from "../../support/drafted-room.ts";

const ROOM = 7 as RoomNid;
const USER = 1 as UserNid;
const at = (position: number) => position as StreamPosition;
const datum = (text: string, type = "m.direct") => ({ type, body: Buffer.from(text) });
const digest = (text: string) => createHash("sha256").update(text).digest();
const userId = "@a:test" as UserId;
const source = (storedBefore: number) =>
  ({ userNid: USER, userId, deviceNid: 1, storedBefore: at(storedBefore) }) as Source;
const receipt = (tsMs: number, more: Partial<ReceiptFact> = {}): ReceiptFact => ({
  userId: "@a:test",
  receiptType: "m.read",
  threadId: "",
  eventId: `$${tsMs}`,
  tsMs,
  ...more,
});
const draft = (known: Partial<KnownPersonal> = {}) =>
  new PersonalDraft({ accountData: new Map(), receipts: new Map(), typing: new Map(), ...known }, new DraftedRoom());
const stored = (text: string, position: number) =>
  new Map([[accountDataKey(USER, GLOBAL, "m.direct"), { digest: digest(text), position: at(position) }]]);

describe("account data", () => {
  test("that is as it is stored is no news", () => {
    const personal = draft({ accountData: stored("a", 5) });
    personal.accountData(GLOBAL, [datum("a")], source(9));
    expect([personal.changes, personal.writes.accountData]).toEqual([[], []]);
  });

  test("that differs is written and published with one batch for all types", () => {
    const personal = draft({ accountData: stored("a", 5) });
    personal.accountData(GLOBAL, [datum("b"), datum("c", "m.push_rules")], source(5));
    const [change, ...more] = personal.changes;
    expect([change?.stream, change?.room, change?.userNid, more]).toEqual([
      ChangeStream.accountData,
      undefined,
      USER,
      [],
    ]);
    expect(personal.writes.accountData.map(({ batch }) => batch)).toEqual([change?.batch, change?.batch]);
  });

  test("does not replace what was stored while it was asked for", () => {
    const personal = draft({ accountData: stored("newer", 6) });
    personal.accountData(GLOBAL, [datum("older")], source(5));
    expect([personal.changes, personal.writes.accountData]).toEqual([[], []]);
  });

  test("that may be older or newer than what is stored is to be asked for", () => {
    const personal = draft({ accountData: stored("newer", 6) });
    personal.accountData(GLOBAL, [datum("older"), datum("any", "org.new")], source(5));
    personal.accountData(ROOM, [datum("any")], source(5), "!r:test" as RoomId);
    expect(personal.contests).toEqual([
      { kind: "account-data", userNid: USER, userId, roomId: undefined, type: "m.direct" },
    ]);
  });

  test("that two devices tell of at once is to be asked for, unless they agree", () => {
    const personal = draft();
    const of = (deviceNid: number, text: string) =>
      personal.accountData(ROOM, [datum(text)], { ...source(5), deviceNid }, "!r:test" as RoomId);
    of(1, "a");
    of(2, "a");
    expect(personal.contests).toEqual([]);
    of(2, "b");
    expect(personal.contests).toMatchObject([{ kind: "account-data", roomId: "!r:test", type: "m.direct" }]);
    expect(personal.writes.accountData.map(({ body }) => body.toString())).toEqual(["a"]);
    of(1, "c");
    expect(personal.writes.accountData.map(({ body }) => body.toString())).toEqual(["c"]);
  });

  test("of a room belongs to that room, and the last of several values stands", () => {
    const personal = draft();
    for (const text of ["a", "b"]) personal.accountData(ROOM, [datum(text, "m.tag")], source(0));
    expect(personal.writes.accountData).toMatchObject([{ room: ROOM, body: Buffer.from("b") }]);
    expect(personal.writes.accountData[0]?.batch).toBe(personal.changes[1]?.batch);
    expect(personal.changes.map(({ room }) => room)).toEqual([ROOM, ROOM]);
  });
});

describe("receipts", () => {
  test("only move forward in time", () => {
    const known = new Map([[receiptKey(ROOM, receipt(0)), 5]]);
    for (const [tsMs, isNews] of [
      [4, false],
      [5, false],
      [6, true],
    ] as const) {
      const personal = draft({ receipts: known });
      personal.ephemeral(ROOM, { receipts: [receipt(tsMs)], typing: undefined });
      expect([personal.changes.length, personal.writes.receipts.length]).toEqual(isNews ? [1, 1] : [0, 0]);
    }
  });

  test("said twice are news once; threads and kinds stand apart", () => {
    const personal = draft();
    const receipts = [
      receipt(3),
      receipt(2),
      receipt(1, { threadId: "main" }),
      receipt(1, { receiptType: "m.read.private" }),
    ];
    for (let time = 0; time < 2; time++) personal.ephemeral(ROOM, { receipts, typing: undefined });
    expect(personal.changes).toHaveLength(1);
    expect(personal.writes.receipts.map(({ tsMs }) => tsMs)).toEqual([3, 1, 1]);
  });
});

describe("typing", () => {
  const typing = (...userIds: string[]) => ({ receipts: [], typing: userIds });
  const known = (...userIds: string[]) => new Map([[ROOM, { userIds, isOver: false }]]);

  test("is news when others type than before", () => {
    const personal = draft({ typing: known("@a:test") });
    personal.ephemeral(ROOM, typing("@b:test"));
    expect(personal.changes).toMatchObject([{ stream: ChangeStream.typing, room: ROOM }]);
    expect(personal.writes.typing).toEqual([{ room: ROOM, userIds: ["@b:test"], batch: personal.changes[0]?.batch }]);
  });

  test("that is as before is heard again, and is no news", () => {
    const personal = draft({ typing: known("@a:test") });
    personal.ephemeral(ROOM, typing("@a:test"));
    expect(personal.changes).toEqual([]);
    expect(personal.writes.typing).toMatchObject([{ room: ROOM, userIds: ["@a:test"] }]);
  });

  test("keeps the batch it was published with when it is said again", () => {
    const personal = draft();
    for (let time = 0; time < 2; time++) personal.ephemeral(ROOM, typing("@b:test"));
    expect(personal.changes).toHaveLength(1);
    expect(personal.writes.typing[0]?.batch).toBe(personal.changes[0]?.batch);
  });

  test("of nobody where nobody typed is nothing", () => {
    const personal = draft();
    personal.ephemeral(ROOM, typing());
    expect([personal.changes, personal.writes.typing]).toEqual([[], []]);
  });
});
