import { describe, expect, test } from "@jest/globals";
import { DraftedRoom } from "../../support/drafted-room.ts";
import { ALICE, BOB, CAROL, create, inRoom, member, message } from "../../support/v2-events.ts";

const kick = (eventId: string, userId: string) => member(eventId, userId, "leave", { sender: ALICE });
const asked = (room: DraftedRoom) =>
  room.lastContests.flatMap((each) => (each.kind === "state" ? [`${each.type}/${each.stateKey}`] : []));

/** Alice's room with Bob and Carol in it. */
function room(): DraftedRoom {
  const made = new DraftedRoom();
  const members = [ALICE, BOB, CAROL].map((userId) => member(`$${userId}`, userId, "join"));
  made.fold("join", inRoom([create(), ...members]));
  return made;
}

const current = (made: DraftedRoom, userId: string) => {
  const nid = made.state.get(`m.room.member\0${userId}`)?.nid;
  return [...made.events.values()].find((event) => event.nid === nid)?.eventId;
};

describe("a member event in a timeline of which state_after says nothing", () => {
  test("counts at once when it is a departure, and is asked about", () => {
    const made = room();
    made.fold("join", { ...inRoom([kick("$out", BOB), message("$m")]), state_after: { events: [] } });
    expect([current(made, BOB), asked(made)]).toEqual(["$out", [`m.room.member/${BOB}`]]);
  });

  test("is asked about when it is none, or is followed by one", () => {
    const made = room();
    const back = [kick("$out", BOB), member("$invited", BOB, "invite", { sender: ALICE })];
    made.fold("join", { ...inRoom(back), state_after: { events: [] } });
    expect([current(made, BOB), asked(made)]).toEqual([`$${BOB}`, [`m.room.member/${BOB}`]]);
  });

  test("is not asked about when state_after has another one, or it is current already", () => {
    const made = room();
    const told = { state_after: { events: [member("$stands", BOB, "join")] } };
    made.fold("join", { ...inRoom([kick("$lost", BOB), member(`$${CAROL}`, CAROL, "join")]), ...told });
    expect([current(made, BOB), asked(made)]).toEqual(["$stands", []]);
  });
});
