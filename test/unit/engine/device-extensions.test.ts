import { expect, test } from "@jest/globals";
import type { ExtensionsRequest } from "../../../src/engine/request.ts";
import { bob, carol, request, TestWorld } from "../../support/engine.ts";
import { EngineClient } from "./engine-client.ts";

function start() {
  const world = new TestWorld();
  const client = new EngineClient(world);
  const sync = (extensions: ExtensionsRequest) => {
    const { outcome } = client.sync(request({}, new Map(), { extensions }));
    const { toDevice, e2ee } = outcome.response.extensions;
    return { toDevice, e2ee, hasNews: outcome.hasNews, delta: outcome.delta };
  };
  const messages = (since?: number, limit = 100) => {
    const { toDevice, hasNews } = sync({ toDevice: { since, limit } });
    return { said: toDevice?.events.map((event) => JSON.parse(event.toString()).content.n), toDevice, hasNews };
  };
  return { world, sync, messages, device: world.device };
}

test("extensions that are not asked for are not answered, whatever there is", () => {
  const { device, world, sync } = start();
  device.receive();
  device.changeList(bob, world.nextPosition());
  expect(sync({})).toMatchObject({ toDevice: undefined, e2ee: undefined, hasNews: false });
});

test("to-device messages come in order and until the client acknowledges them, whatever its connection was told", () => {
  const { device, messages } = start();
  for (const n of [1, 2, 3]) device.receive({ n });
  expect(messages()).toMatchObject({ said: [1, 2, 3], toDevice: { nextBatch: 15 }, hasNews: true });
  expect(messages()).toMatchObject({ said: [1, 2, 3] });
  expect(messages(5)).toMatchObject({ said: [2, 3], toDevice: { nextBatch: 15 } });
  expect(messages(15)).toMatchObject({ said: [], toDevice: { nextBatch: 15 }, hasNews: false });
  device.receive({ n: 4 });
  expect(messages(15)).toMatchObject({ said: [4], toDevice: { nextBatch: 20 }, hasNews: true });
});

test("more messages than the limit are the next answer's, at once", () => {
  const { device, messages } = start();
  for (const n of [1, 2, 3]) device.receive({ n });
  expect(messages(undefined, 2)).toMatchObject({ said: [1, 2], toDevice: { nextBatch: 10 }, hasNews: true });
  expect(messages(10, 2)).toMatchObject({ said: [3], toDevice: { nextBatch: 15 }, hasNews: true });
});

test("a device that never had a message has a token all the same", () => {
  const { messages } = start();
  expect(messages()).toMatchObject({ said: [], toDevice: { nextBatch: 0 }, hasNews: false });
});

test("a token for more than was ever stored is told everything", () => {
  const { device, messages } = start();
  device.receive({ n: 1 });
  expect(messages(1_000)).toMatchObject({ said: [1], toDevice: { nextBatch: 5 }, hasNews: true });
});

test("a first answer has the keys, and no device lists", () => {
  const { device, world, sync } = start();
  device.changeList(bob, world.nextPosition());
  device.setKeys({ signed_curve25519: 50 }, world.nextPosition());
  const { e2ee, delta } = sync({ e2ee: true });
  expect(e2ee?.deviceLists).toBeUndefined();
  expect([e2ee?.oneTimeKeys, e2ee?.fallbackKeys].map(String)).toEqual(['{"signed_curve25519":50}', "[]"]);
  expect([delta.rooms.size, delta.subscriptions]).toEqual([0, undefined]);
});

test("device lists say once who changed since the last answer, with the last word on each", () => {
  const { device, world, sync } = start();
  sync({ e2ee: true });
  device.changeList(bob, world.nextPosition());
  device.changeList(carol, world.nextPosition());
  device.changeList(carol, world.nextPosition(), true);
  expect(sync({ e2ee: true })).toMatchObject({
    e2ee: { deviceLists: { changed: [bob], left: [carol] } },
    hasNews: true,
  });
  expect(sync({ e2ee: true })).toMatchObject({ e2ee: { deviceLists: { changed: [], left: [] } }, hasNews: false });
});

test("fewer keys are news, more are what the client knows", () => {
  const { device, world, sync } = start();
  device.setKeys({ signed_curve25519: 50 }, world.nextPosition());
  sync({ e2ee: true });
  device.facts = { ...device.facts, oneTimeKeys: Buffer.from('{"signed_curve25519":60}') };
  expect(sync({ e2ee: true })).toMatchObject({ hasNews: false });
  device.setKeys({ signed_curve25519: 59 }, world.nextPosition());
  const { e2ee, hasNews } = sync({ e2ee: true });
  expect([String(e2ee?.oneTimeKeys), hasNews]).toEqual(['{"signed_curve25519":59}', true]);
});
