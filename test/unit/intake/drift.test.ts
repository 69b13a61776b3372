import { expect, test } from "@jest/globals";
import { driftOf } from "../../../src/intake/fetch/drift.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";

const { join, invite, leave, ban } = Membership;
const ROOM = "!r:test" as RoomId;
const ASKED = 5 as StreamPosition;

test.each<[string, boolean, Membership | undefined, number, "gone" | "missing" | undefined]>([
  ["joined in both", true, join, 3, undefined],
  ["joined in the store alone", false, join, 5, "gone"],
  ["joined in the store after the homeserver was asked", false, join, 6, undefined],
  ["joined at the homeserver, and unknown", true, undefined, 0, "missing"],
  ["joined at the homeserver, and left in the store", true, leave, 5, "missing"],
  ["joined at the homeserver, and banned in the store", true, ban, 1, "missing"],
  ["joined at the homeserver, and invited in the store", true, invite, 1, "missing"],
  ["joined at the homeserver, and left since it was asked", true, leave, 6, undefined],
  ["in neither", false, leave, 1, undefined],
  ["invited, which the homeserver's list does not tell", false, invite, 1, undefined],
])("a room %s", (_, isUpstream, membership, since, kind) => {
  const stored = new Map(
    membership === undefined ? [] : [[ROOM, { membership, since: since as StreamPosition }] as const],
  );
  expect(driftOf(new Set(isUpstream ? [ROOM] : []), stored, ASKED)).toEqual({
    gone: kind === "gone" ? [ROOM] : [],
    missing: kind === "missing" ? [ROOM] : [],
  });
});
