// What happens in a room and to who is in it, as far as the homeserver allows it.
import fc from "fast-check";
import type { Session } from "../homeserver/accounts.ts";
import type { JsonObject } from "../homeserver/json.ts";
import type { Room } from "../homeserver/room.ts";
import type { ModelHomeserver } from "../intake-truth/model-homeserver.ts";

export const VISIBILITIES = ["shared", "invited", "joined", "world_readable"] as const;

export const DEEDS = [
  ...["message", "message", "message", "message", "remote message", "name", "name", "avatar", "topic", "displayname"],
  ...["visibility", "visibility", "join", "join", "join", "leave", "invite", "invite", "knock", "kick", "kick", "ban"],
  ...["unban", "unban", "remote member", "remote member", "ignore", "read", "read", "type"],
] as const;

/** By whom, upon whom, and what of it; numbers pick from what there is. */
export const deed = fc.record({ does: fc.constantFrom(...DEEDS), by: fc.nat(2), upon: fc.nat(2), value: fc.nat(3) });
export type Deed = typeof deed extends fc.Arbitrary<infer T> ? T : never;

const remoteUser = (number: number) => `@far${number}:elsewhere.test`;

export class Doers {
  readonly room: Room;
  readonly #homeserver: ModelHomeserver;
  readonly #doers: readonly Session[];
  #deeds = 0;

  private constructor(homeserver: ModelHomeserver, doers: readonly Session[], room: Room) {
    this.#homeserver = homeserver;
    this.#doers = doers;
    this.room = room;
  }

  /** The first of them makes the room, and the second may do nearly as much in it; the third is nobody's superior. */
  static async createRoom(
    homeserver: ModelHomeserver,
    doers: readonly Session[],
    { joinRule, visibility }: { readonly joinRule: string; readonly visibility: string },
  ): Promise<Doers> {
    const [first, second] = doers.map(({ user }) => user.userId);
    const state = (type: string, content: JsonObject) => ({ type, state_key: "", content });
    const created = await homeserver.does(doers[0]!.token, "POST", "/createRoom", {
      initial_state: [
        state("m.room.join_rules", { join_rule: joinRule }),
        state("m.room.history_visibility", { history_visibility: visibility }),
      ],
      power_level_content_override: {
        users: { [first!]: 100, [second!]: 50 },
        events: { "m.room.history_visibility": 50 },
        invite: 0,
      },
    });
    return new Doers(homeserver, doers, homeserver.world.room(String(created.room_id)));
  }

  /** Returns the text that it says, if it says one. */
  async do(deed: Deed): Promise<string> {
    const { world } = this.#homeserver;
    // No two things happen at the same time.
    world.clock.advance(1_000);
    this.#deeds += 1;
    const text = `${deed.does} ${this.#deeds}`;
    await this.#do(deed, text);
    return text;
  }

  async #do({ does, by, upon, value }: Deed, text: string): Promise<void> {
    const { world } = this.#homeserver;
    const { user, token } = this.#doers[by]!;
    const target = { user_id: this.#doers[upon]!.user.userId };
    const path = `/rooms/${this.room.id}`;
    const call = (method: string, of: string, body: JsonObject = {}) =>
      this.#homeserver.does(token, method, `${path}${of}`, body);
    const receipt = upon === 0 ? "m.read.private" : "m.read";
    switch (does) {
      case "message":
        return void (await call("PUT", `/send/m.room.message/${this.#deeds}`, { msgtype: "m.text", body: text }));
      case "remote message":
        return this.#asRemote(value, "m.room.message", undefined, { msgtype: "m.text", body: text });
      case "name":
        return void (await call("PUT", "/state/m.room.name", { name: value === 0 ? "" : text }));
      case "avatar":
        return void (await call("PUT", "/state/m.room.avatar", { url: text }));
      case "topic":
        return void (await call("PUT", "/state/m.room.topic", { topic: text }));
      case "displayname":
        return void (await call("PUT", `/state/m.room.member/${user.userId}`, {
          membership: "join",
          displayname: text,
          avatar_url: text,
        }));
      case "visibility": {
        const history_visibility = VISIBILITIES[value];
        return void (await call("PUT", "/state/m.room.history_visibility", { history_visibility }));
      }
      case "join":
      case "leave":
        return void (await call("POST", `/${does}`));
      case "knock":
        return void (await this.#homeserver.does(token, "POST", `/knock/${this.room.id}`));
      case "invite":
      case "kick":
      case "ban":
      case "unban":
        return void (await call("POST", `/${does}`, target));
      case "remote member":
        return this.#moveRemote(value, text);
      case "ignore": {
        const ignored = value === 0 ? {} : { [target.user_id]: {}, ...(value === 1 ? { [remoteUser(1)]: {} } : {}) };
        const list = `/user/${user.userId}/account_data/m.ignored_user_list`;
        return void (await this.#homeserver.does(token, "PUT", list, { ignored_users: ignored }));
      }
      case "read":
        if (world.membership(user.userId, this.room.id) !== "join") return;
        return void (await call("POST", `/receipt/${receipt}/${this.room.timeline.at(-1 - value)?.eventId}`));
      case "type":
        if (world.membership(user.userId, this.room.id) !== "join") return;
        return void (await call("PUT", `/typing/${user.userId}`, { typing: value > 0 }));
    }
  }

  #asRemote(number: number, type: string, stateKey: string | undefined, content: JsonObject): void {
    const sender = remoteUser(number);
    if (this.room.membership(sender) !== "join") return;
    this.#homeserver.world.append(this.room, { type, stateKey, sender, content });
  }

  #moveRemote(number: number, displayname: string): void {
    const sender = remoteUser(number);
    const membership = this.room.membership(sender) === "join" ? "leave" : "join";
    const content = { membership, ...(membership === "join" ? { displayname } : {}) };
    this.#homeserver.world.append(this.room, { type: "m.room.member", stateKey: sender, sender, content });
  }
}
