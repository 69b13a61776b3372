// The device that asks in tests of the engine: what a store would hold for it alone.
import type { DeviceFacts } from "../../src/model/device-facts.ts";
import type {
  DeviceListChange,
  ExtensionData,
  ExtensionReads,
  ToDeviceMessage,
} from "../../src/model/extension-reads.ts";
import type { UserId } from "../../src/model/ids.ts";
import { BEFORE_ALL, type StreamPosition } from "../../src/model/stream-position.ts";

export class TestDevice {
  readonly #messages: ToDeviceMessage[] = [];
  readonly #lists: (DeviceListChange & { readonly position: StreamPosition })[] = [];
  facts: DeviceFacts = {
    toDeviceHead: 0,
    listsAt: BEFORE_ALL,
    oneTimeKeys: undefined,
    fallbackKeys: undefined,
    fewerKeysAt: BEFORE_ALL,
  };

  /** A to-device message with the next sequence. */
  receive(content: object = {}): void {
    const sequence = this.facts.toDeviceHead + 5;
    const body = Buffer.from(JSON.stringify({ type: "m.test", sender: "@bob:example.org", content }));
    this.#messages.push({ sequence, body });
    this.facts = { ...this.facts, toDeviceHead: sequence };
  }

  /** The client has all up to a sequence. */
  acknowledge(upTo: number): void {
    this.#messages.splice(0, this.#messages.filter(({ sequence }) => sequence <= upTo).length);
  }

  changeList(userId: UserId, position: StreamPosition, hasLeft = false): void {
    this.#lists.push({ userId, hasLeft, position });
    this.facts = { ...this.facts, listsAt: position };
  }

  setKeys(oneTimeKeys: object, position: StreamPosition, fallbackKeys: readonly string[] = []): void {
    const [keys, types] = [oneTimeKeys, fallbackKeys].map((value) => Buffer.from(JSON.stringify(value)));
    this.facts = { ...this.facts, oneTimeKeys: keys, fallbackKeys: types, fewerKeysAt: position };
  }

  read({ toDevice, deviceLists }: ExtensionReads, to: StreamPosition): Pick<ExtensionData, "toDevice" | "deviceLists"> {
    const messages = this.#messages.filter(({ sequence }) => toDevice !== undefined && sequence > toDevice.after);
    const lists = this.#lists.filter(
      ({ position }) => deviceLists !== undefined && position > deviceLists.after && position <= to,
    );
    return { toDevice: messages.slice(0, toDevice?.limit), deviceLists: lists };
  }
}
