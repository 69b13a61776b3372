import type { EventDraft } from "./event.ts";
import { type JsonObject, objectOr, objects, stringOr, strings } from "./json.ts";
import { MatrixError } from "./matrix-error.ts";
import { invite, join } from "./membership.ts";
import type { Room } from "./room.ts";
import type { User } from "./user.ts";
import type { World } from "./world.ts";

interface Preset {
  readonly joinRule: string;
  readonly inviteesHaveOps: boolean;
  readonly guestsCanJoin: boolean;
  readonly power: JsonObject;
}

const PRESETS: Readonly<Record<string, Preset>> = {
  private_chat: { joinRule: "invite", inviteesHaveOps: false, guestsCanJoin: true, power: { invite: 0 } },
  trusted_private_chat: { joinRule: "invite", inviteesHaveOps: true, guestsCanJoin: true, power: { invite: 0 } },
  // Synapse puts the call level beside `events`, not into it.
  public_chat: { joinRule: "public", inviteesHaveOps: false, guestsCanJoin: false, power: { "m.call.invite": 50 } },
};

const KNOWN_VERSIONS = new Set(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
const CREATORLESS_VERSION = 11;
const HASHED_ID_VERSION = 12;

export function createRoom(world: World, creator: User, request: JsonObject): Room {
  const version = stringOr(request.room_version, world.profile.defaultRoomVersion);
  if (!KNOWN_VERSIONS.has(version)) {
    throw new MatrixError(400, "M_UNSUPPORTED_ROOM_VERSION", "Your homeserver does not support this room version");
  }
  const hasHashedId = Number(version) >= HASHED_ID_VERSION;
  const roomId = hasHashedId ? world.ids.hashedRoom() : world.ids.room(world.serverName);
  const room = world.addRoom(roomId, version);
  const preset = presetOf(request);
  // Where creators stand above all levels, a trusted invitee becomes one more of them.
  const trusted = hasHashedId && preset.inviteesHaveOps ? { additional_creators: strings(request.invite) } : {};
  const create = { ...objectOr(request.creation_content), ...trusted, room_version: version };
  const content = Number(version) >= CREATORLESS_VERSION ? create : { ...create, creator: creator.userId };
  world.append(room, { type: "m.room.create", sender: creator.userId, stateKey: "", content });
  join(world, room, creator);
  for (const draft of furnishing(world, room, creator, request, preset)) world.append(room, draft);
  const isDirect = request.is_direct === true;
  for (const target of strings(request.invite)) invite(world, room, creator, target, { isDirect });
  return room;
}

function presetOf(request: JsonObject): Preset {
  const name = stringOr(request.preset, request.visibility === "public" ? "public_chat" : "private_chat");
  const preset = PRESETS[name];
  if (preset === undefined) throw new MatrixError(400, "M_BAD_JSON", `'${name}' is not a valid preset`);
  return preset;
}

function furnishing(world: World, room: Room, creator: User, request: JsonObject, preset: Preset): EventDraft[] {
  const initial = objects(request.initial_state);
  const isGiven = (type: string) => initial.some((event) => event.type === type);
  const state = (type: string, content: JsonObject, stateKey = ""): EventDraft => ({
    type,
    sender: creator.userId,
    stateKey,
    content,
  });
  const drafts = [state("m.room.power_levels", powerContent(room, creator, request, preset))];
  const alias = stringOr(request.room_alias_name, undefined);
  if (alias !== undefined) {
    world.aliases.set(`#${alias}:${world.serverName}`, room.id);
    drafts.push(state("m.room.canonical_alias", { alias: `#${alias}:${world.serverName}` }));
  }
  if (!isGiven("m.room.join_rules")) drafts.push(state("m.room.join_rules", { join_rule: preset.joinRule }));
  if (!isGiven("m.room.history_visibility")) {
    drafts.push(state("m.room.history_visibility", { history_visibility: "shared" }));
  }
  if (preset.guestsCanJoin && !isGiven("m.room.guest_access")) {
    drafts.push(state("m.room.guest_access", { guest_access: "can_join" }));
  }
  for (const event of initial) {
    drafts.push(state(stringOr(event.type, ""), objectOr(event.content), stringOr(event.state_key, "")));
  }
  if (typeof request.name === "string") drafts.push(state("m.room.name", { name: request.name }));
  if (typeof request.topic === "string") drafts.push(state("m.room.topic", topicContent(request.topic)));
  return drafts;
}

function topicContent(topic: string): JsonObject {
  return { topic, "m.topic": { "m.text": [{ body: topic }] } };
}

function powerContent(room: Room, creator: User, request: JsonObject, preset: Preset): JsonObject {
  const creatorIsAboveAll = room.versionNumber >= HASHED_ID_VERSION;
  const users: JsonObject = creatorIsAboveAll ? {} : { [creator.userId]: 100 };
  if (preset.inviteesHaveOps && !creatorIsAboveAll) for (const userId of strings(request.invite)) users[userId] = 100;
  return {
    users,
    users_default: 0,
    events: {
      "m.room.name": 50,
      "m.room.power_levels": 100,
      "m.room.history_visibility": 100,
      "m.room.canonical_alias": 50,
      "m.room.avatar": 50,
      "m.room.tombstone": creatorIsAboveAll ? 150 : 100,
      "m.room.server_acl": 100,
      "m.room.encryption": 100,
    },
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    invite: 50,
    historical: 100,
    ...preset.power,
    ...objectOr(request.power_level_content_override),
  };
}
