import { expect, test } from "@jest/globals";
import { bob, carol, config, list, request, TestWorld } from "../../support/engine.ts";
import { EngineClient } from "./engine-client.ts";

const wanted = request({ all: list("all", config(5)) });

function started() {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  room.setHeroes([bob]);
  room.setMember(bob, "join", { displayname: "Bo" });
  const client = new EngineClient(world);
  client.sync(wanted);
  return { room, client };
}

test("other heroes are told at once, without any news of the room, and not again", () => {
  const { room, client } = started();
  room.setMember(carol);
  expect(client.sync(wanted).room(room).heroes).toMatchObject([{ userId: bob }]);
  room.setHeroes([bob, carol]);
  room.setCounts(1);
  const answer = client.sync(wanted);
  expect(answer.outcome).toMatchObject({ hasNews: true, quietSince: undefined });
  expect(answer.room(room)).toMatchObject({
    isInitial: false,
    heroes: [{ userId: bob, displayName: "Bo" }, { userId: carol }],
    notificationCount: 1,
    timeline: undefined,
  });
  room.setCounts(2);
  expect(client.sync(wanted).room(room)).toMatchObject({ heroes: undefined, notificationCount: 2 });
});

test("heroes that change while the room has a name are told when it has none", () => {
  const { room, client } = started();
  room.setState("m.room.name", "", { name: "Library" });
  client.sync(wanted);
  room.setHeroes([carol]);
  expect(client.sync(wanted).room(room).heroes).toBeUndefined();
  room.setState("m.room.name", "", {});
  expect(client.sync(wanted).room(room).heroes).toMatchObject([{ userId: carol }]);
});
