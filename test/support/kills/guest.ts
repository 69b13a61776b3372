import { logIn, type Robot } from "../homeserver/robot.ts";
import type { Homeserver } from "../homeserver/start.ts";
import { startClient } from "./following-client.ts";
import type { Comparison } from "./stored-truth.ts";
import type { Scene } from "./traffic.ts";
import { readFloors } from "./truth.ts";
import { WatchedAccount } from "./watched-account.ts";

const DEVICE = "GUESTPHONE";
const MESSAGES = 3;
const ROOM_MESSAGES = 5;

export interface Guest extends AsyncDisposable {
  readonly account: WatchedAccount;
}

export interface Inn {
  readonly homeserver: Homeserver;
  readonly scene: Scene;
  readonly productUrl: string;
  readonly store: Pick<Comparison, "database" | "relay">;
}

/**
 * Somebody new, in rooms with each of the friends that nobody else is in, whose client asks for the first time now. Disposing
 * logs them out.
 */
export async function welcomeGuest(inn: Inn, name: string): Promise<Guest> {
  const { homeserver, scene, productUrl, store } = inn;
  const phone = await homeserver.register(name, DEVICE);
  const elsewhere = await logIn(homeserver.url, name, "ELSEWHERE", "login");
  const [first] = scene.friends;
  for (let n = 1; n <= MESSAGES; n++) await first?.sendToDevice(phone.userId, DEVICE, { n });
  const rooms = await Promise.all(scene.friends.map((friend) => roomWith(friend, phone)));
  const floors = await readFloors(elsewhere);
  const { userId, deviceId, token } = phone;
  const client = startClient(productUrl, phone);
  const expected = { sent: MESSAGES, visited: { roomId: "", membership: "none" } } as const;
  for (const { friend, roomId } of rooms) await friend.send(roomId, "welcome");
  const compared = { ...store, device: { userId, deviceId, token }, traffic: expected };
  return {
    account: new WatchedAccount(compared, elsewhere, client, floors),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await homeserver.control.revokeToken(token, { deleteDevice: true });
    },
  };
}

async function roomWith(friend: Robot, guest: Robot): Promise<Scene["rooms"][number]> {
  const roomId = await friend.createRoom({ preset: "private_chat", name: `For ${guest.userId}` });
  await friend.invite(roomId, guest.userId);
  await guest.join(roomId);
  for (let sent = 0; sent < ROOM_MESSAGES; sent++) await friend.send(roomId, `message ${sent}`);
  return { roomId, friend };
}
