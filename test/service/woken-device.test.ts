// What a push wakes a phone for: it asks for one event and for the key to it, of a device that nobody asked for in hours.
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { Robot } from "../support/homeserver/robot.ts";
import { until } from "../support/until.ts";
import { startWholeService } from "../support/whole-service.ts";

const UPSTREAM_DELAY_MS = 200;

interface Answer {
  readonly pos: string;
  readonly rooms: Readonly<Record<string, { readonly timeline?: readonly { readonly event_id: string }[] }>>;
  readonly extensions: {
    readonly to_device?: { readonly next_batch: string; readonly events: readonly { readonly content: object }[] };
  };
}

let service: Awaited<ReturnType<typeof startWholeService>>;
let alice: Robot;
let phone: Robot;
let made = 0;

beforeAll(async () => {
  service = await startWholeService({ idleAfter: "1s" });
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(async () => {
  made += 1;
  const { homeserver } = service;
  [alice, phone] = [await homeserver.register(`alice${made}`), await homeserver.register(`phone${made}`)];
});

async function ask(body: object, query: { pos?: string; timeoutMs?: number } = {}): Promise<Answer> {
  const [status, answer] = await service.sync<Answer>(phone.token, body, query);
  expect([status, answer]).toEqual([200, answer]);
  return answer;
}

const keys = (since?: string) => ({
  conn_id: "encryption",
  extensions: { to_device: { enabled: true, ...(since !== undefined && { since }) }, e2ee: { enabled: true } },
});

const notification = (roomId: string) => ({
  conn_id: "notifications",
  lists: { invites: { ranges: [[0, 16]], timeline_limit: 16, required_state: [], filters: { is_invite: true } } },
  room_subscriptions: { [roomId]: { timeline_limit: 16, required_state: [["m.room.member", "$LAZY"]] } },
});

const isPolled = async (): Promise<boolean> => {
  const text = "SELECT FROM devices WHERE device_id = $1 AND owner IS NOT NULL AND lease_until > now()";
  return (await service.db.query({ text, values: [phone.deviceId] })).length > 0;
};

test.each([
  "with a position of its own",
  "anew, as the push does in its own process",
])("the event and its room key are in the first answers, and the app's connections go on, where the keys are fetched %s", async (how) => {
  const roomId = await alice.createRoom({ preset: "public_chat" });
  await phone.join(roomId);
  const list = { all: { ranges: [[0, 19]], timeline_limit: 1, required_state: [] } };
  const app = await ask({ conn_id: "room-list", lists: list });
  const before = await ask(keys());
  const since = before.extensions.to_device?.next_batch;
  await until(async () => !(await isPolled()));
  await alice.sendToDevice(phone.userId, phone.deviceId, { key: "of the session" });
  const sent = await alice.send(roomId, { ciphertext: "of the event" }, "m.room.encrypted");
  const delay = { path: "*/sync", user: phone.userId, effect: { delayMs: UPSTREAM_DELAY_MS } };
  const fault = await service.homeserver.control.fault(delay);
  const pos = how.startsWith("with") ? { pos: before.pos } : {};
  const [event, key] = await Promise.all([
    ask(notification(roomId), { timeoutMs: 1_000 }),
    ask(keys(since), { timeoutMs: 3_000, ...pos }),
  ]);
  expect(event.rooms[roomId]?.timeline?.at(-1)?.event_id).toBe(sent);
  expect(key.extensions.to_device?.events).toMatchObject([{ content: { key: "of the session" } }]);
  await fault.remove();
  // The app wakes up, and goes on from where it was, on both of its connections.
  const again = await ask({ conn_id: "room-list", lists: list }, { pos: app.pos });
  expect(again.rooms[roomId]?.timeline?.map(({ event_id: id }) => id)).toEqual([sent]);
  expect((await ask(keys(since), { pos: before.pos })).extensions.to_device?.events).toHaveLength(1);
  const acknowledged = key.extensions.to_device?.next_batch;
  expect((await ask(keys(acknowledged), { pos: before.pos })).extensions.to_device?.events).toEqual([]);
});
