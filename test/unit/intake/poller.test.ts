import { describe, expect, test } from "@jest/globals";
import type { FirstWindowOf } from "../../../src/intake/first-window/first-window.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { UpstreamError } from "../../../src/model/upstream-error.ts";
import { DatabaseUnavailableError } from "../../../src/store/database-errors.ts";
import { FencedError } from "../../../src/store/device-stream.ts";
import { inRoom, messages } from "../../support/v2-events.ts";
import { type Answer, next, refuse, Stage, token } from "./poller-stage.ts";

describe("a poller", () => {
  test("goes on from where its device was, each poll from where the last one ended", async () => {
    const stage = new Stage([next("s1"), next("s2")], { forwardedFor: "192.0.2.7", userAgent: "Phone/1" });
    expect(await stage.run()).toEqual({ reason: "shutdown" });
    expect(stage.polls.map(({ since, timeoutMs }) => [since, timeoutMs])).toEqual([
      ["s0", 0],
      ["s1", 30_000],
      ["s2", 30_000],
    ]);
    expect(stage.polls[0]).toMatchObject({
      token: "first",
      filter: "the filter",
      forwarded: { xForwardedFor: "192.0.2.7", userAgent: "Phone/1" },
    });
    expect(stage.admitted).toEqual(["catch-up"]);
    expect(stage.parts.map(({ source }) => source.poll)).toEqual(["catch-up", "live"]);
  });

  test("asks for a place for a first sync, once", async () => {
    const stage = new Stage([next("s1"), next("s2")], { since: undefined });
    await stage.run();
    expect([stage.polls[0]?.since, stage.admitted]).toEqual([undefined, ["first"]]);
    expect(stage.parts.map(({ source }) => source.poll)).toEqual(["first", "live"]);
  });

  test("has the first window built with its first sync, which ends it, and with no other", async () => {
    const stage = new Stage([next("s1"), next("s2")], { since: undefined });
    await stage.run();
    expect(stage.windows).toHaveLength(1);
    const [{ token: text, hasBegun, signal }] = stage.windows as [FirstWindowOf];
    expect([text, hasBegun.aborted, signal.aborted]).toEqual(["first", true, true]);
    const known = new Stage([next("s1")]);
    await known.run();
    expect(known.windows).toEqual([]);
  });

  test("says since when a first sync is asked for, whose answer may be as old as that", async () => {
    const stage = new Stage([() => refuse(500), next("s1"), next("s2")], { since: undefined });
    await stage.run();
    stage.position = 9 as StreamPosition;
    stage.stop = new AbortController();
    await stage.run();
    expect(stage.parts.map(({ source, end }) => [source.storedBefore, end?.whole?.askedAfter])).toEqual([
      [3, 9],
      [9, undefined],
    ]);
  });

  test("tells how far a first sync has come, and of no other poll", async () => {
    const room = (n: number) => ({ [`!room${n}:test`]: inRoom(messages(`$${n}`)) });
    const first = next("s1", { rooms: { join: { ...room(1), ...room(2) } } });
    const stage = new Stage([first, next("s2", { rooms: { join: room(3) } })], { since: undefined });
    await stage.run();
    const whole = { bytes: expect.any(Number), rooms: 2 };
    expect(stage.progress).toEqual([[whole, whole]]);
  });

  test("knows what was stored before each request", async () => {
    const stage = new Stage([next("s1"), next("s2"), next("s3")]);
    stage.onStore = (part) => {
      stage.position = (part.end?.since.to === "s1" ? 2 : 9) as StreamPosition;
    };
    await stage.run();
    expect(stage.parts.map(({ source }) => source.storedBefore)).toEqual([3, 3, 9]);
  });

  test("knows that the answer to a question that was asked before may be an old one", async () => {
    const refusedOnce = (): never => {
      stage.position = 9 as StreamPosition;
      stage.poller.useToken(token("second"));
      return refuse(401);
    };
    const stage = new Stage([next("s1"), refusedOnce, next("s2"), next("s3")]);
    await stage.run();
    expect(stage.parts.map(({ source }) => source.storedBefore)).toEqual([3, 3, 9]);
    // Before a restart the same may have been asked.
    const first = new Stage([next("s1"), next("s2")], { since: undefined, firstAsked: 1 as StreamPosition });
    await first.run();
    expect(first.parts.map(({ source }) => source.storedBefore)).toEqual([1, 3]);
    const timeouts = [4, 5].map(async (epoch) => {
      const catchUp = new Stage([next("s1")], { epoch });
      await catchUp.run();
      return catchUp.polls[0]?.timeoutMs;
    });
    expect(await Promise.all(timeouts)).toEqual([4, 5]);
  });

  describe("whose stream does not go on", () => {
    const seconds = (tookMs: number, answer: Answer, stage: () => Stage): Answer => {
      return (poll) => {
        stage().nowMs += tookMs;
        return answer(poll);
      };
    };
    const message = (n: number) => ({ type: "m.room.encrypted", sender: "@bob:test", content: { n } });
    const toDevice = (...numbers: number[]) => ({ to_device: { events: numbers.map(message) } });
    const messagesIn = ({ parts }: Stage) =>
      parts.map(({ end }) => end?.rest.toDevice.map((raw) => JSON.parse(String(raw)).content.n));

    test.each<[string, (n: number) => Answer]>([
      ["the same token, without anything", () => next("s1")],
      [
        "the same token, with the same event",
        () => next("s1", { rooms: { join: { "!r:test": inRoom(messages("$a")) } } }),
      ],
      ["two tokens in turn", (n) => next(`s${n % 2}`, toDevice(n))],
      ["nothing, with a new token each time", (n) => next(`s${n}`)],
    ])("rests when answers come at once with %s", async (_what, answer) => {
      const stage = new Stage([1, 2, 3, 4, 5, 6, 7, 8].map(answer));
      await stage.run();
      expect(stage.polled.map(({ restMs }) => restMs).filter((restMs) => restMs > 0)).toEqual([250]);
      expect(stage.polls.length).toBeLessThan(8);
    });

    test("does not rest when answers have waited, or bring something", async () => {
      let stage: Stage;
      const wait = Array.from({ length: 6 }, () => seconds(1_000, next("s1"), () => stage));
      const news = [1, 2, 3, 4, 5, 6].map((n) => next(`n${n}`, toDevice(n)));
      stage = new Stage([...wait, ...news]);
      await stage.run();
      expect(stage.polled.map(({ restMs }) => restMs)).toEqual(Array.from({ length: 12 }, () => 0));
    });

    test("stores to-device messages that come again once, and others that come with them", async () => {
      const stage = new Stage([
        next("s1", toDevice(1, 2)),
        next("s1", toDevice(3)),
        next("s1", toDevice(3)),
        next("s1", toDevice(3, 4)),
      ]);
      await stage.run();
      expect(messagesIn(stage)).toEqual([[1, 2], [3], [], [4]]);
      // What was acknowledged does not come again, so that the same once more is another message.
      const acknowledged = new Stage([next("s1", toDevice(1)), next("s2", toDevice(1))]);
      await acknowledged.run();
      expect(messagesIn(acknowledged)).toEqual([[1], [1]]);
    });

    test.each([
      ["s70_1_2", "s60_5_2"],
      ["70", "60"],
    ])("asks for all when it went back from %s to %s, without moving on before that is stored", async (from, to) => {
      const stage = new Stage([next(from), next(to, toDevice(1)), next("s65_5_2", toDevice(1, 2)), next("s66_5_2")]);
      await stage.run();
      expect(stage.polls.map(({ since, timeoutMs }) => [since, timeoutMs])).toEqual([
        ["s0", 0],
        [from, 30_000],
        [undefined, 0],
        ["s65_5_2", 30_000],
        ["s66_5_2", 30_000],
      ]);
      expect(stage.parts.map(({ source, end }) => [source.poll, end?.since])).toEqual([
        ["catch-up", { from: "s0", to: from }],
        ["live", { from, to: from }],
        ["first", { from, to: "s65_5_2" }],
        ["live", { from: "s65_5_2", to: "s66_5_2" }],
      ]);
      expect(stage.admitted).toEqual(["catch-up", "first"]);
      expect(messagesIn(stage)).toEqual([[], [1], [2], []]);
    });

    test("asks for all again when that failed, and once in an hour at most", async () => {
      const stage = new Stage([next("s7"), next("s6"), () => refuse(500), next("s7"), next("s5"), next("s6")]);
      await stage.run();
      stage.stop = new AbortController();
      await stage.run();
      expect(stage.polls.map(({ since }) => since)).toEqual(["s0", "s7", undefined, undefined, "s7", "s5", "s6"]);
    });

    test.each([
      ["s7_1", "s8_0"],
      ["s7_1", "s6_1_1"],
      ["s7", "6"],
      ["m56~2.58~3", "m55~2.58~3"],
      ["opaque", "another"],
      ["s7", "s7"],
    ])("takes %s and then %s for going on", async (from, to) => {
      const stage = new Stage([next(from), next(to)]);
      await stage.run();
      expect(stage.polls.map(({ since }) => since)).toEqual(["s0", from, to]);
    });
  });

  test("remembers what it had last of each room, and what was stored before its last request", async () => {
    const room = (...ids: string[]) => ({ rooms: { join: { "!r:test": inRoom(messages(...ids)) } } });
    const stage = new Stage([next("s1", room("$a", "$b")), next("s2"), next("s3", room("$c")), next("s4")]);
    const seen: unknown[] = [];
    stage.onStore = ({ source }) => {
      seen.push([source.toldUpTo, ...source.lastSeen]);
      stage.position = (stage.position + 1) as StreamPosition;
    };
    stage.position = 10 as StreamPosition;
    await stage.run();
    const first = ["!r:test", "$b"];
    expect(seen).toEqual([[undefined], [10, first], [11, first], [12, ["!r:test", "$c"]]]);
  });

  test("knows whom its user ignores from what is stored, and from its own stream", async () => {
    const list = (ignored: object) => ({
      account_data: { events: [{ type: "m.ignored_user_list", content: { ignored_users: ignored } }] },
    });
    const stage = new Stage([next("s1"), next("s2", list({ "@m:test": {} })), next("s3"), next("s4", list({}))]);
    await stage.run();
    expect(stage.parts.map(({ source }) => source.ignoresSomebody)).toEqual([false, true, true, false]);
    const known = new Stage([next("s1")], { since: undefined }, new Set(["@m:test"]));
    await known.run();
    expect(known.parts[0]?.source.ignoresSomebody).toBe(true);
  });

  test("asks again from the same place after a failure, whatever that was", async () => {
    const failing: Answer[] = [
      () => refuse(500),
      () => refuse(403),
      () => "<html>",
      () => ({ rooms: {} }),
      () => Promise.reject(new UpstreamError("gone", { kind: "unreachable" })),
      () => Promise.reject(new TypeError("a bug")),
    ];
    const kinds: unknown[] = [];
    for (const answer of failing) {
      const stage = new Stage([answer]);
      expect(await stage.run()).toEqual({ reason: "shutdown" });
      expect(stage.parts).toEqual([]);
      const [failure] = stage.failures;
      kinds.push(failure?.fault instanceof Error ? failure.fault.name : failure?.fault.kind);
      expect(failure?.verdict).toEqual({ next: "again", afterMs: 1_000 });
    }
    expect(kinds).toEqual(["status", "status", "malformed", "malformed", "unreachable", "TypeError"]);
  });

  test("does not move on when its response could not be stored", async () => {
    const stage = new Stage([next("s1"), next("s1")]);
    stage.onStore = () => {
      throw new DatabaseUnavailableError("no database");
    };
    await stage.run();
    expect(stage.polls.map(({ since }) => since)).toEqual(["s0"]);
    expect(stage.failures).toMatchObject([{ verdict: { next: "again" } }]);
  });

  test("ends when its claim is gone", async () => {
    const stage = new Stage([next("s1"), next("s2")]);
    stage.onStore = () => {
      throw new FencedError("another polls");
    };
    expect(await stage.run()).toEqual({ reason: "lost-claim" });
    expect(stage.polls).toHaveLength(1);
  });

  test("ends when its token is refused, and says which", async () => {
    const stage = new Stage([() => refuse(401), next("s1")]);
    expect(await stage.run()).toEqual({ reason: "token-refused", token: token("first") });
    expect(stage.polls).toHaveLength(1);
  });

  test("goes on with a new token, also when the old one was refused meanwhile", async () => {
    const stage: Stage = new Stage([
      next("s1"),
      () => {
        stage.poller.useToken(token("second"));
        return refuse(401);
      },
      next("s2"),
    ]);
    expect(await stage.run()).toEqual({ reason: "shutdown" });
    expect(stage.polls.map((poll) => [poll.token, poll.since])).toEqual([
      ["first", "s0"],
      ["first", "s1"],
      ["second", "s1"],
      ["second", "s2"],
    ]);
  });

  test("ends at once when it is stopped, also while it waits after a failure", async () => {
    const stage = new Stage([() => refuse(500)]);
    expect(await stage.run()).toEqual({ reason: "shutdown" });
    const never = new Stage([next("s1")]);
    never.stop.abort();
    expect(await never.run()).toEqual({ reason: "shutdown" });
    expect(never.polls).toEqual([]);
  });
});
