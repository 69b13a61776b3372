import { describe, expect, test } from "@jest/globals";
import type { EventId, RoomId } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { inRoom, messages } from "../../support/v2-events.ts";
import { next, refuse, Stage } from "./poller-stage.ts";

const toDevice = { to_device: { events: [{ type: "m.room_key", sender: "@bob:test", content: {} }] } };

/** A device of which nothing is known, beside another one of its user. */
function further(answers: ConstructorParameters<typeof Stage>[0], isStored: boolean) {
  const stage = new Stage(answers, { since: undefined });
  let asked = 0;
  const lastSeen = new Map([["!a:test" as RoomId, "$before" as EventId]]);
  stage.sibling = {
    lastSeen,
    pollNow: async () => {
      asked += 1;
      lastSeen.set("!b:test" as RoomId, "$asked" as EventId);
      expect(stage.parts).toEqual([]);
      stage.position = 70 as StreamPosition;
      return isStored;
    },
  };
  return { stage, asked: () => asked };
}

const filterOf = (stage: Stage, poll: number): unknown => {
  const filter = stage.polls[poll]?.filter ?? "";
  return filter.startsWith("{") ? JSON.parse(filter) : filter;
};

describe("a further device", () => {
  test("begins without rooms, once another stream of its user has told of everything before", async () => {
    const { stage, asked } = further([next("s1", toDevice), next("s2"), next("s3")], true);
    expect(await stage.run()).toEqual({ reason: "shutdown" });
    expect(stage.polls.map(({ since, timeoutMs }) => [since, timeoutMs])).toEqual([
      [undefined, 0],
      ["s1", 30_000],
      ["s2", 30_000],
      ["s3", 30_000],
    ]);
    expect(filterOf(stage, 0)).toMatchObject({ room: { rooms: [], timeline: { types: [] } } });
    expect(filterOf(stage, 1)).toBe("the filter");
    expect(stage.parts.map(({ source }) => [source.poll, source.toldUpTo])).toEqual([
      ["catch-up", undefined],
      ["live", 70],
      ["live", 70],
    ]);
    // What the other stream had last is where rooms go on, for this one as well.
    const [, first, second] = stage.parts.map(({ source }) => Object.fromEntries(source.lastSeen));
    expect([first, second]).toEqual(Array(2).fill({ "!a:test": "$before", "!b:test": "$asked" }));
    expect(stage.parts[0]?.end).toMatchObject({ since: { from: undefined, to: "s1" }, whole: undefined });
    expect(stage.parts[0]?.end?.rest.toDevice).toHaveLength(1);
    expect([stage.admitted, stage.windows, asked(), stage.polled.length]).toEqual([["catch-up"], [], 1, 3]);
  });

  test.each([
    ["the other stream does not tell in time", next("s1", toDevice), false, 1],
    [
      "the homeserver sends rooms all the same",
      next("s1", { rooms: { join: { "!room:test": inRoom(messages("$a")) } } }),
      true,
      0,
    ],
    ["the request fails", () => refuse(500), true, 0],
  ])("begins with all rooms where %s, and nothing was stored before", async (_, first, isStored, times) => {
    const { stage, asked } = further([first, next("s9", toDevice), next("s10")], isStored);
    await stage.run();
    expect(stage.polls.slice(0, 3).map(({ since }) => since)).toEqual([undefined, undefined, "s9"]);
    expect(filterOf(stage, 1)).toBe("the filter");
    expect(stage.parts.map(({ source }) => source.poll)).toEqual(["first", "live"]);
    expect([stage.windows.length, asked()]).toEqual([1, times]);
    expect(stage.failures).toEqual([]);
  });

  test("begins with all rooms where no other device of its user is followed", async () => {
    const stage = new Stage([next("s1")], { since: undefined });
    await stage.run();
    expect([filterOf(stage, 0), stage.admitted, stage.windows.length]).toEqual(["the filter", ["first"], 1]);
  });
});

describe("a poller that is to poll at once", () => {
  const never = new AbortController().signal;

  test("interrupts a request that waits for news, and that is no failure", async () => {
    const told: boolean[] = [];
    const stage: Stage = new Stage([
      next("s1"),
      async ({ signal }) => {
        const stored = stage.poller.pollNow(never).then((isStored) => told.push(isStored));
        expect(signal.aborted).toBe(true);
        void stored;
        throw signal.reason;
      },
      next("s2"),
      async () => {
        await new Promise((resolve) => setImmediate(resolve));
        expect(told).toEqual([true]);
        return { next_batch: "s3" };
      },
    ]);
    await stage.run();
    expect(stage.polls.map(({ since, timeoutMs }) => [since, timeoutMs])).toEqual([
      ["s0", 0],
      ["s1", 30_000],
      ["s1", 1],
      ["s2", 30_000],
      ["s3", 30_000],
    ]);
    expect(stage.failures).toEqual([]);
  });

  test("asks once more after an answer that is under way, which may not know everything", async () => {
    let stored: Promise<boolean> | undefined;
    const stage: Stage = new Stage([
      next("s1"),
      next("s2", { rooms: { join: { "!room:test": inRoom(messages("$a")) } } }),
      next("s3"),
    ]);
    stage.onStore = ({ token }) => {
      if (token !== "s2") return;
      stored = stage.poller.pollNow(never);
      expect(stage.polls.at(-1)?.signal.aborted).toBe(false);
    };
    await stage.run();
    expect(await stored).toBe(true);
    expect(stage.polls.map(({ since, timeoutMs }) => [since, timeoutMs])).toEqual([
      ["s0", 0],
      ["s1", 30_000],
      ["s2", 1],
      ["s3", 30_000],
    ]);
  });

  test("asks each time with another timeout: homeservers repeat answers to the same question", async () => {
    const stage: Stage = new Stage([next("s1"), next("s1"), next("s1")]);
    stage.onStore = () => void stage.poller.pollNow(never);
    await stage.run();
    expect(stage.polls.map(({ timeoutMs }) => timeoutMs)).toEqual([0, 1, 2, 3]);
  });

  test("says so when it ends before, and when it has ended", async () => {
    const stage: Stage = new Stage([next("s1")]);
    let stored: Promise<boolean> | undefined;
    stage.onStore = () => {
      stored = stage.poller.pollNow(never);
    };
    await stage.run();
    expect(await stored).toBe(false);
    expect(await stage.poller.pollNow(never)).toBe(false);
  });

  test("is waited for no longer than who asks is there", async () => {
    const gone = new AbortController();
    const waiting = new Stage([]).poller.pollNow(gone.signal);
    gone.abort();
    expect(await waiting).toBe(false);
    expect(await new Stage([]).poller.pollNow(gone.signal)).toBe(false);
  });
});
