import { expect, test } from "@jest/globals";
import type { ReadCall } from "../../../src/homeserver/get-as-user.ts";
import type { MessagesPage } from "../../../src/homeserver/room-reads.ts";
import { readPreview } from "../../../src/intake/first-window/room-preview.ts";
import type { RoomId, UserId } from "../../../src/model/ids.ts";
import { ALICE, BOB, create, member, message, name } from "../../support/v2-events.ts";

const CALL = { token: "t" } as ReadCall;
const raw = (value: unknown) => Buffer.from(JSON.stringify(value));
const WANTED = { roomId: "!room:test" as RoomId, userId: ALICE as UserId, timelineLimit: 20 };

function preview(page: Partial<MessagesPage>, state: readonly unknown[], asked: string[] = []) {
  const upstream = {
    newestMessages: async () => {
      asked.push("messages");
      return { events: [], end: undefined, ...page };
    },
    currentState: async (_call: ReadCall, _room: RoomId, onEvent: (event: Buffer) => void) => {
      asked.push("state");
      for (const event of state) onEvent(raw(event));
    },
  };
  return readPreview(upstream, CALL, WANTED);
}

const keysOf = (state: readonly Buffer[] | undefined) =>
  state?.map((event) => JSON.parse(event.toString())).map(({ type, state_key }) => `${type} ${state_key}`.trim());

test("a room is read as a section of a first sync would bring it, oldest event first", async () => {
  const [older, newer] = [raw(message("$1")), raw(message("$2"))];
  const section = await preview({ events: [newer, older], end: "t5" }, [create(), name("$n", "Room")]);
  expect(section).toMatchObject({ kind: "join", roomId: WANTED.roomId, limited: true, prevBatch: "t5" });
  expect(section.timeline).toEqual([older, newer]);
  expect(keysOf(section.stateAfter)).toEqual(["m.room.create", "m.room.name"]);
});

test("a room whose beginning was read is whole", async () => {
  expect(await preview({ events: [raw(create())] }, [create()])).toMatchObject({
    limited: false,
    prevBatch: undefined,
  });
});

test("state is read after the messages, so that it is never older", async () => {
  const asked: string[] = [];
  await preview({}, [], asked);
  expect(asked).toEqual(["messages", "state"]);
});

test("of many members those are kept that the timeline needs, the reader's own, and the heroes; all are counted", async () => {
  const others = Array.from({ length: 100 }, (_, n) => member(`$m${n}`, `@other${n}:test`, n < 90 ? "join" : "invite"));
  const gone = member("$gone", "@gone:test", "leave");
  const kicked = member("$kick", "@kicked:test", "leave");
  const page = [raw(message("$1", { sender: "@other50:test" })), raw(kicked)];
  const section = await preview({ events: page }, [
    create(),
    ...others,
    gone,
    kicked,
    member("$a", ALICE, "join"),
    member("$b", BOB, "join"),
  ]);
  const heroes = [0, 1, 2, 3, 4].map((n) => `@other${n}:test`);
  expect(section.summary).toEqual({ heroes, joinedCount: 92, invitedCount: 10 });
  const kept = keysOf(section.stateAfter)?.map((key) => key.replace("m.room.member ", ""));
  expect(kept?.sort()).toEqual(["m.room.create", ALICE, "@kicked:test", "@other50:test", ...heroes].sort());
});

test("what is no event is left to the check of the section", async () => {
  const section = await preview({ events: [raw("x"), raw(null)] }, [5, { type: "m.room.member" }]);
  expect([section.timeline.length, section.stateAfter?.length]).toEqual([2, 1]);
});
