import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { register, Session } from "../support/room-life/api.ts";
import { withLogs } from "./support/server-process.ts";
import { startSlidecar } from "./support/slidecar.ts";
import { startSynapse } from "./support/synapse.ts";

const PASSWORD = "correct horse";
const SENT = 70;
/** Fewer than were sent. */
const STORED = 5;
const LOOK_MS = 200;

interface Event {
  readonly event_id: string;
}

interface Answer {
  readonly rooms: Readonly<Record<string, { timeline: readonly Event[]; limited?: boolean; prev_batch?: string }>>;
}

async function subscribed(device: Session, roomId: string, limit: number) {
  const subscription = { timeline_limit: limit, required_state: [] };
  const body = { conn_id: `c${limit}`, room_subscriptions: { [roomId]: subscription } };
  const path = "unstable/org.matrix.simplified_msc3575/sync?timeout=0";
  const room = (await device.call<Answer>("POST", path, body)).rooms[roomId];
  return {
    events: room?.timeline.map((event) => event.event_id) ?? [],
    isWhole: room?.limited !== true,
    prevBatch: room?.prev_batch,
  };
}

test("a room that is opened with more events than are stored has them from a real Synapse, whole and in order", async () => {
  await using synapse = await startSynapse({ native: false });
  const polling = { timeline_limit: STORED };
  await using slidecar = await startSlidecar({ homeserverUrl: synapse.url, config: { polling } });
  await withLogs([synapse, slidecar], async () => {
    const alice = await register(synapse.url, "alice", PASSWORD, "PHONE");
    const bob = await register(synapse.url, "bob", PASSWORD, "PHONE");
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.inRoom("POST", roomId, "join");
    for (let n = 0; n < SENT; n++) await (n % 2 === 0 ? alice : bob).sendText(roomId, `message ${n}`);
    const page = await alice.inRoom<{ chunk: Event[] }>("GET", roomId, "messages?dir=b&limit=1000");
    const all = page.chunk.map((event) => event.event_id).reverse();
    const device = new Session(slidecar.url, {
      user_id: alice.userId,
      device_id: alice.deviceId,
      access_token: alice.accessToken,
    });
    expect((await subscribed(device, roomId, 1)).events).toEqual(all.slice(-1));
    // Answers do not wait for long, so that a slow machine may need another one.
    const opened = async (limit: number, count: number) => {
      for (;;) {
        const answer = await subscribed(device, roomId, limit);
        if (answer.events.length === count) return answer;
        await pause(LOOK_MS);
      }
    };
    const some = await opened(40, 40);
    expect<unknown>([some.events, some.isWhole]).toEqual([all.slice(-40), false]);
    const older = await alice.inRoom<{ chunk: Event[] }>(
      "GET",
      roomId,
      `messages?dir=b&limit=1000&from=${encodeURIComponent(some.prevBatch ?? "")}`,
    );
    expect(older.chunk.map((event) => event.event_id).reverse()).toEqual(all.slice(0, -40));
    const whole = await opened(100, all.length);
    expect<unknown>([whole.events, whole.isWhole]).toEqual([all, true]);
  });
});
