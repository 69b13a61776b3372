// What happens on the homeserver during a round. Everything of which each single one counts carries a number.
import type { Random } from "../homeserver/random.ts";
import type { Robot } from "../homeserver/robot.ts";
import type { Homeserver } from "../homeserver/start.ts";

/** A long response is stored in several parts: it has more than a mebibyte. */
const LONG_MESSAGES = { count: 130, bytes: 10_000 };
const LIVELY_EVENTS = 10;
/** One long poll at a time: its device is the only one of its user that asks. */
const HANG = { path: "*/sync", effect: { hang: true } } as const;

export interface Scene {
  readonly homeserver: Homeserver;
  /** The account's owner, at a device that the product does not know. */
  readonly owner: Robot;
  /** The device that the product polls. */
  readonly deviceId: string;
  readonly friends: readonly Robot[];
  /** Rooms with the owner and at least one of the friends, who comes first. */
  readonly rooms: readonly { readonly roomId: string; readonly friend: Robot }[];
}

type Visit = "none" | "invite" | "join" | "leave";

export class Traffic {
  readonly #scene: Scene;
  #visit: Visit = "none";
  #visited = "";
  #number = 0;
  #messages = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** To-device messages sent so far: they are numbered from 1 on. */
  get sent(): number {
    return this.#messages;
  }

  /** The room that the owner was invited to last, and where they stand in it. */
  get visited(): { readonly roomId: string; readonly membership: Visit } {
    return { roomId: this.#visited, membership: this.#visit };
  }

  /** One of everything that a response can bring, in an order that the seed says. */
  async burst(random: Random): Promise<void> {
    const { homeserver, owner, deviceId, friends, rooms } = this.#scene;
    const room = random.pick(rooms);
    const friend = random.pick(friends);
    const n = this.#next();
    const acts = [
      () => homeserver.control.liven({ events: 1 + random.below(LIVELY_EVENTS) }),
      () => this.#sendToDevice(friend),
      () => this.#sendToDevice(random.pick(friends)),
      () => newKeys(room.friend, n),
      () => owner.accountData("test.kills", { n }),
      () => owner.roomAccountData(random.pick(rooms).roomId, "test.kills", { n }),
      () =>
        random.chance(0.5) ? owner.tag(room.roomId, "u.kills", { order: 0.5 }) : owner.untag(room.roomId, "u.kills"),
      () => say(room),
      () => say(random.pick(rooms)),
      () => room.friend.setState(room.roomId, "test.kills", { n }, room.friend.userId),
      () => room.friend.typing(room.roomId, random.chance(0.5)),
      () => friend.claimKey(owner.userId, deviceId),
      () => this.#moveOn(friend),
    ];
    for (const act of shuffled(random, acts)) await act();
  }

  /** So much at once that one response has to be stored in parts. */
  async flood(random: Random): Promise<void> {
    const { homeserver, owner, rooms } = this.#scene;
    // The next poll hangs, so that all of it comes with one response.
    const hang = await homeserver.control.fault({ ...HANG, user: owner.userId });
    try {
      await this.#sendToDevice(random.pick(this.#scene.friends));
      const body = "long ".repeat(LONG_MESSAGES.bytes / 5);
      for (let sent = 0; sent < LONG_MESSAGES.count; sent++) {
        const { roomId, friend } = rooms[sent % rooms.length]!;
        await friend.send(roomId, { msgtype: "m.text", body: `${sent} ${body}` });
      }
      await this.burst(random);
    } finally {
      await hang.remove();
    }
  }

  #next(): number {
    this.#number += 1;
    return this.#number;
  }

  async #sendToDevice(friend: Robot): Promise<void> {
    const { owner, deviceId } = this.#scene;
    await friend.sendToDevice(owner.userId, deviceId, { n: this.#messages + 1 });
    this.#messages += 1;
  }

  /** The owner is invited, comes, leaves, and is invited to another room. */
  async #moveOn(friend: Robot): Promise<void> {
    const { owner } = this.#scene;
    if (this.#visit === "invite") {
      await owner.join(this.#visited);
      this.#visit = "join";
    } else if (this.#visit === "join") {
      await owner.leave(this.#visited);
      this.#visit = "leave";
    } else {
      this.#visited = await friend.createRoom({ preset: "private_chat", name: "A visit" });
      await friend.invite(this.#visited, owner.userId);
      this.#visit = "invite";
    }
  }
}

const newKeys = (robot: Robot, n: number) =>
  robot.call("POST", "/keys/upload", {
    device_keys: { user_id: robot.userId, device_id: robot.deviceId, algorithms: [], keys: { n: String(n) } },
    one_time_keys: { [`signed_curve25519:${n}`]: { key: String(n) } },
  });

/** A message, and the reading of it. */
async function say({ roomId, friend }: Scene["rooms"][number]): Promise<void> {
  const eventId = await friend.send(roomId, "something");
  await friend.receipt(roomId, eventId);
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.below(left.length), 1)[0]!);
}
