import { describe, expect, test } from "@jest/globals";
import { type Contest, type OpenQuestion, questionKey } from "../../../src/intake/ingest/contest.ts";
import { contestOf, isKept, rowOf } from "../../../src/intake/ingest/contest-rows.ts";
import type { RoomId, UserId, UserNid } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";

const alice = { userNid: 1 as UserNid, userId: "@alice:test" as UserId };
const bob = { userNid: 2 as UserNid, userId: "@bob:test" as UserId };
const roomId = "!r:test" as RoomId;
const NAME: Contest = { ...alice, kind: "state", roomId, type: "m.room.name", stateKey: "", isMissing: false };
const INVITE: Contest = {
  ...alice,
  kind: "membership",
  roomId,
  stored: Membership.leave,
  claimed: { kind: "invite", stripped: [Buffer.from('{"a":"\u00e4"}')], own: [] },
};
const DIRECT: Contest = { ...alice, kind: "account-data", roomId: undefined, type: "m.direct" };

describe("an open question", () => {
  test.each<[string, OpenQuestion]>([
    ["a room's state", { ...alice, kind: "room-state", roomId }],
    ["a state key", NAME],
    ["an invite", INVITE],
    ["a membership of which another's stream tells", { ...INVITE, claimed: undefined } as Contest],
    ["account data", DIRECT],
    ["a room's account data", { ...DIRECT, roomId } as Contest],
  ])("about %s is read as it was kept", (_, contest) => {
    const { key, userNid, body } = rowOf(contest);
    expect([key, userNid]).toEqual([questionKey(contest), 1]);
    expect(contestOf(body, alice)).toEqual(contest);
  });

  test("is not kept when a member is missing, who is missed again", () => {
    expect([isKept(NAME), isKept({ ...NAME, isMissing: true } as Contest), isKept(INVITE)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test.each(["", "[]", "{}", '{"kind":"other"}'])("that is none is left: %p", (body) => {
    expect(contestOf(body, alice)).toBeUndefined();
  });
});

test("a state key is one question for all, and what is a user's own is one for each", () => {
  const keys = [NAME, INVITE, DIRECT, { ...DIRECT, roomId } as Contest].map((contest) => [
    questionKey(contest),
    questionKey({ ...contest, ...bob }),
  ]);
  expect(keys.map(([one, other]) => one === other)).toEqual([true, false, false, false]);
  expect(new Set(keys.flat()).size).toBe(7);
});
