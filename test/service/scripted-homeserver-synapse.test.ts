import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { normalise } from "../support/homeserver/room-life/normalise.ts";
import { recordedLines } from "../support/homeserver/room-life/recorded.ts";
import { scenes } from "../support/homeserver/room-life/scenes.ts";
import { type Played, play } from "../support/homeserver/room-life/stage.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";

let homeserver: Homeserver & AsyncDisposable;

beforeAll(async () => {
  homeserver = await startHomeserver();
  await homeserver.control.settings({ msc4222: true });
});
afterAll(async () => {
  await homeserver[Symbol.asyncDispose]();
});

describe("the scripted homeserver beside Synapse 1.157.1", () => {
  test.each(Object.keys(scenes))("says the same in the scene %s", async (name) => {
    const recorded = await recordedLines(name);
    expect(recorded.length).toBeGreaterThan(0);
    const said = normalise(await play(scenes[name]!, homeserver.url, `q${name.toLowerCase()}q`));
    expect(said.map((line) => line.name)).toEqual(recorded.map((line) => line.name));
    for (const [index, line] of said.entries()) expect(line).toEqual(recorded[index]);
  });
});

describe("the comparison of two homeservers", () => {
  const played = (answer: unknown): Played => ({ lines: [{ name: "line", answer }], tag: "qtagq" });
  const message = (letter: string, age: number, body: string) => ({
    type: "m.room.message",
    event_id: `$${letter.repeat(43)}`,
    content: { body },
    unsigned: { age },
  });

  test("overlooks ids, times and the names that made users unique", () => {
    const one = {
      sender: "@aliceqtagq:example.org",
      timeline: { events: [message("a", 1, "x"), message("b", 2, "y")] },
    };
    const two = { sender: "@alice:example.org", timeline: { events: [message("c", 5, "x"), message("d", 6, "y")] } };
    expect(normalise(played(one))).toEqual(normalise(played(two)));
  });

  test.each([
    ["another content", [message("a", 1, "z"), message("b", 2, "y")]],
    ["another order", [message("b", 2, "y"), message("a", 1, "x")]],
    ["the same event twice", [message("a", 1, "x"), message("a", 1, "x")]],
    ["one event fewer", [message("a", 1, "x")]],
    ["an id in place of another", [message("a", 1, "x"), { ...message("b", 2, "y"), redacts: `$${"b".repeat(43)}` }]],
  ])("sees %s", (_what, events) => {
    const same = [message("a", 1, "x"), message("b", 2, "y")];
    expect(normalise(played({ timeline: { events } }))).not.toEqual(normalise(played({ timeline: { events: same } })));
  });

  test("counts positions from the scene's first token", () => {
    const at = (position: number) =>
      played([{ next_batch: `s${position}_1_2` }, { next_batch: `s${position + 4}_1_9` }]);
    expect(normalise(at(10))).toEqual(normalise(at(500)));
    expect(normalise(played([{ next_batch: "s10_1" }, { next_batch: "s15_1" }]))).not.toEqual(normalise(at(10)));
  });
});
