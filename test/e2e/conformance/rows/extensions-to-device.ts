import { expect } from "@jest/globals";
import { sectionOf, withExtension } from "../extensions.ts";
import type { Row } from "../row.ts";

const TO_DEVICE = withExtension("to_device");
const since = (token: string) => withExtension("to_device", { since: token });
const TYPE = "org.example.message";

export const toDeviceRows: readonly Row[] = [
  {
    number: 140,
    title: "A device without messages is told so, and from where they will go on",
    run: async (world) => {
      const user = await world.user();
      expect(sectionOf(await user.sync(TO_DEVICE), "to_device")).toEqual({
        next_batch: expect.any(String),
        events: [],
      });
    },
  },
  {
    number: 141,
    title: "A message to the device comes by its type, sender and content to who asks from the start",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      await user2.sendToDevice(user1, TYPE, { number: 1 });
      const { events } = sectionOf(await user1.sync(TO_DEVICE), "to_device");
      expect(events).toEqual([{ type: TYPE, sender: user2.id, content: { number: 1 } }]);
    },
  },
  {
    number: 142,
    title: "A message comes to who goes on from before it, and to nobody once somebody went on from after it",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const first = sectionOf(await user1.sync(TO_DEVICE), "to_device");
      expect(first.events).toEqual([]);
      await user2.sendToDevice(user1, TYPE, { number: 1 });
      const next = sectionOf(await user1.sync(since(first.next_batch)), "to_device");
      expect(next.events).toEqual([{ type: TYPE, sender: user2.id, content: { number: 1 } }]);
      for (const request of [since(next.next_batch), TO_DEVICE]) {
        expect(sectionOf(await user1.sync(request), "to_device").events).toEqual([]);
      }
    },
  },
  {
    number: 143,
    title: "A request that waits is answered by a message to the device",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const { pos } = await user1.sync(TO_DEVICE);
      const waiting = await user1.waitingSync(TO_DEVICE, pos);
      await waiting.staysHeld();
      await user2.sendToDevice(user1, TYPE, { number: 1 });
      const { events } = sectionOf(await waiting.answer, "to_device");
      expect(events).toEqual([{ type: TYPE, sender: user2.id, content: { number: 1 } }]);
    },
  },
  {
    number: 144,
    title: "A request that waits for messages to the device is not answered by account data",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const { pos } = await user1.sync(TO_DEVICE);
      const waiting = await user1.waitingSync(TO_DEVICE, pos);
      await user1.session.setAccountData("org.example.unasked", { for: "nobody" });
      await waiting.staysHeld();
      await user2.sendToDevice(user1, TYPE, { number: 1 });
      expect(sectionOf(await waiting.answer, "to_device").events).toHaveLength(1);
    },
  },
];
