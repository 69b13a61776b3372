import { once } from "node:events";
import { get as httpGet, type IncomingMessage } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";

let homeserver: Homeserver & AsyncDisposable;
let alice: Robot;
let roomId: string;
let made = 0;

beforeAll(async () => {
  homeserver = await startHomeserver();
});
afterAll(async () => {
  await homeserver[Symbol.asyncDispose]();
});
beforeEach(async () => {
  made += 1;
  alice = await homeserver.register(`alice${made}`);
  roomId = await alice.createRoom({ name: "Room" });
});
afterEach(() => homeserver.control.clearFaults());

const SYNC = "/_matrix/client/v3/sync";

async function get(path: string): Promise<Response> {
  return fetch(homeserver.url + path, { headers: { authorization: `Bearer ${alice.token}` } });
}

describe("faults of the scripted homeserver", () => {
  test("a status meets so many requests of the kind, is counted, and is over", async () => {
    const body = { errcode: "M_LIMIT_EXCEEDED", error: "slow down", retry_after_ms: 5 };
    const effect = { reply: { status: 429, body, headers: { "retry-after": "1" } } };
    const fault = await homeserver.control.fault({
      path: "*/sync",
      user: alice.userId,
      since: false,
      times: 2,
      effect,
    });
    const first = await get(SYNC);
    expect([first.status, first.headers.get("retry-after"), await first.json()]).toEqual([429, "1", body]);
    expect((await get(`${SYNC}?since=s1_0`)).status).toBe(200);
    expect((await get(SYNC)).status).toBe(429);
    expect((await get(SYNC)).status).toBe(200);
    expect(await fault.hits()).toBe(2);
  });

  test("another user is not met", async () => {
    await homeserver.control.fault({ user: "@somebody:example.org", effect: { reply: { status: 500, body: {} } } });
    expect((await get(SYNC)).status).toBe(200);
  });

  test("a reverse proxy's page comes as HTML", async () => {
    await homeserver.control.fault({ effect: { reply: { status: 502, body: "<html>Bad Gateway</html>" } } });
    const response = await get(SYNC);
    expect([response.status, response.headers.get("content-type")]).toEqual([502, "text/html"]);
    expect(await response.text()).toBe("<html>Bad Gateway</html>");
  });

  test("a connection is reset before the first byte", async () => {
    await homeserver.control.fault({ effect: { resetAfterBytes: 0 } });
    await expect(get(SYNC)).rejects.toThrow();
  });

  test("a connection is reset in the middle of the body", async () => {
    await homeserver.control.fault({ effect: { resetAfterBytes: 50 } });
    const response = await get(SYNC);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  test("a body is cut with a clean end", async () => {
    await homeserver.control.fault({ effect: { cutAfterBytes: 50 } });
    const text = await (await get(SYNC)).text();
    expect(text).toHaveLength(50);
    expect(() => JSON.parse(text)).toThrow();
  });

  test("a trickle delivers everything in small pieces", async () => {
    await homeserver.control.fault({ effect: { trickle: { bytes: 1_000, everyMs: 1 } } });
    const { promise: responded, resolve } = Promise.withResolvers<IncomingMessage>();
    httpGet(homeserver.url + SYNC, { headers: { authorization: `Bearer ${alice.token}` } }, resolve);
    const response = await responded;
    let pieces = 0;
    let text = "";
    // As they were sent: whoever reads the whole stream gets as one what arrived before they looked.
    response.on("data", (piece: Buffer) => {
      pieces += 1;
      text += piece.toString("latin1");
    });
    await once(response, "end");
    expect(pieces).toBeGreaterThan(2);
    expect(JSON.parse(text)).toHaveProperty("next_batch");
  });

  test("a delay comes before the answer", async () => {
    await homeserver.control.fault({ path: "*/whoami", effect: { delayMs: 200 } });
    const startMs = performance.now();
    await alice.call("GET", "/account/whoami");
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(190);
  });

  test("a request hangs until it is released, and was not carried out before", async () => {
    const fault = await homeserver.control.fault({ path: "*/send/*", effect: { hang: true } });
    const sending = alice.send(roomId, "late");
    const before = await alice.messages(roomId, { limit: "1" });
    expect(before.chunk[0]!.content.body).toBeUndefined();
    await fault.release();
    const eventId = await sending;
    expect((await alice.messages(roomId, { limit: "1" })).chunk[0]!.event_id).toBe(eventId);
  });

  test("next_batch goes backwards, or is whatever the test wants", async () => {
    const { next_batch } = await alice.sync();
    await homeserver.control.fault({ path: "*/sync", times: 1, effect: { nextBatchBackBy: 3 } });
    const back = await alice.sync({ timeout: 1 });
    const position = (token: string) => Number(/^s(\d+)_/.exec(token)![1]);
    expect(position(back.next_batch)).toBe(position(next_batch) - 3);
    await homeserver.control.fault({ path: "*/sync", times: 1, effect: { nextBatch: "another server's" } });
    expect((await alice.sync({ timeout: 2 })).next_batch).toBe("another server's");
  });

  test("a hostile event is spliced into a room's timeline or state", async () => {
    const hostile = { type: 5, content: null, event_id: ["not", "text"] };
    const at = "start" as const;
    await homeserver.control.fault({
      path: "*/sync",
      effect: { splice: { roomId, part: "timeline", at, event: hostile } },
    });
    await homeserver.control.fault({
      path: "*/sync",
      effect: { splice: { roomId, part: "state", event: "no event" } },
    });
    const room = (await alice.sync()).rooms!.join![roomId]!;
    expect(room.timeline.events[0]).toEqual(hostile);
    expect(room.state.events.at(-1)).toBe("no event");
    expect(room.timeline).toHaveProperty("prev_batch");
  });

  test("a splice brings a room that the homeserver would not have told of", async () => {
    const event = { type: "m.room.message", event_id: "$x", sender: "@x:y", content: {} };
    await homeserver.control.fault({
      path: "*/sync",
      effect: { splice: { roomId: "!new:y", part: "timeline", event } },
    });
    const stripped = { roomId: "!invite:y", section: "invite", part: "invite_state", event } as const;
    await homeserver.control.fault({ path: "*/sync", effect: { splice: stripped } });
    const { join, invite } = (await alice.sync()).rooms!;
    expect(join!["!new:y"]!.timeline.events).toEqual([event]);
    expect(invite!["!invite:y"]!.invite_state.events).toEqual([event]);
  });

  test("requests are written down with what a proxy tells of the client", async () => {
    const headers = { authorization: `Bearer ${alice.token}`, "x-forwarded-for": "192.0.2.7", "user-agent": "Phone/1" };
    await fetch(`${homeserver.url}${SYNC}?timeout=0&set_presence=offline`, { headers });
    expect(await homeserver.control.requests("/sync", alice.userId)).toMatchObject([
      {
        method: "GET",
        query: { timeout: "0", set_presence: "offline" },
        deviceId: alice.deviceId,
        userAgent: "Phone/1",
        forwardedFor: "192.0.2.7",
        status: 200,
      },
    ]);
  });
});
