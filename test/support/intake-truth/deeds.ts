// What users do, and what befalls rooms, as far as the homeserver allows it.
import fc from "fast-check";
import type { Session } from "../homeserver/accounts.ts";
import type { ModelHomeserver } from "./model-homeserver.ts";

const ROOMS = 2;

/** By whom, upon whom, where, and what of it; numbers pick from what there is. */
const picks = { by: fc.nat(3), upon: fc.nat(3), room: fc.nat(ROOMS - 1), value: fc.nat(3) };

export const DEEDS = [
  ...["message", "message", "message", "message", "name", "displayname", "visibility"],
  ...["join", "join", "leave", "invite", "kick", "ban", "unban"],
  ...["redact", "account data", "room account data", "read", "read privately", "gap", "create", "ignore", "late"],
] as const;

export const deed = fc.record({ does: fc.constantFrom(...DEEDS), ...picks });
export type Deed = typeof deed extends fc.Arbitrary<infer T> ? T : never;

const PRESETS = ["public_chat", "private_chat"];
const VISIBILITIES = ["shared", "invited", "joined", "world_readable"];

export class Doers {
  readonly #homeserver: ModelHomeserver;
  readonly #doers: readonly Session[];
  #deeds = 0;

  constructor(homeserver: ModelHomeserver, doers: readonly Session[]) {
    this.#homeserver = homeserver;
    this.#doers = doers;
  }

  async do({ does, by, upon, room: roomIndex, value }: Deed): Promise<void> {
    const { world } = this.#homeserver;
    // No two things happen at the same time.
    world.clock.advance(1_000);
    this.#deeds += 1;
    const doer = this.#doers[by % this.#doers.length]!;
    const target = { user_id: this.#doers[upon % this.#doers.length]!.user.userId };
    const room = [...world.rooms.values()][roomIndex];
    const call = (method: string, path: string, body = {}) => this.#homeserver.does(doer.token, method, path, body);
    if (does === "create" || room === undefined) {
      if (world.rooms.size < ROOMS) await call("POST", "/createRoom", { preset: PRESETS[value % PRESETS.length] });
      return;
    }
    const path = `/rooms/${room.id}`;
    const event = room.timeline.at(-1 - value)!;
    const ts = world.clock.nowMs();
    const text = `text ${this.#deeds}`;
    switch (does) {
      case "message":
        return void (await call("PUT", `${path}/send/m.room.message/${this.#deeds}`, {
          msgtype: "m.text",
          body: text,
        }));
      case "name":
        return void (await call("PUT", `${path}/state/m.room.name`, { name: text }));
      case "displayname":
        return void (await call("PUT", `${path}/state/m.room.member/${doer.user.userId}`, {
          membership: "join",
          displayname: text,
        }));
      case "visibility":
        return void (await call("PUT", `${path}/state/m.room.history_visibility`, {
          history_visibility: VISIBILITIES[value],
        }));
      case "join":
      case "leave":
        return void (await call("POST", `${path}/${does}`));
      case "invite":
      case "kick":
      case "ban":
      case "unban":
        return void (await call("POST", `${path}/${does}`, target));
      case "redact":
        return void (await call("PUT", `${path}/redact/${event.eventId}/${this.#deeds}`));
      case "account data":
        return void (await call("PUT", `/user/${doer.user.userId}/account_data/test.data`, { text }));
      case "room account data":
        return void (await call("PUT", `/user/${doer.user.userId}${path}/account_data/test.data`, { text, ts }));
      case "read":
      case "read privately":
        if (room.membership(doer.user.userId) !== "join") return;
        return void (await call(
          "POST",
          `${path}/receipt/${does === "read" ? "m.read" : "m.read.private"}/${event.eventId}`,
        ));
      case "ignore": {
        const ignored_users = value === 0 ? {} : { [target.user_id]: {} };
        return void (await call("PUT", `/user/${doer.user.userId}/account_data/m.ignored_user_list`, {
          ignored_users,
        }));
      }
      case "late":
        return void world.append(room, {
          type: "m.room.message",
          sender: "@far:elsewhere.test",
          content: { msgtype: "m.text", body: text },
          depth: Math.max(1, room.depth - value),
        });
      case "gap":
        room.gaps.push(room.lastStream);
        // A server learns of a gap from what comes after it.
        return void world.append(room, {
          type: "m.room.message",
          sender: "@far:elsewhere.test",
          content: { msgtype: "m.text", body: text },
          oddity: { forked: true },
        });
    }
  }
}
