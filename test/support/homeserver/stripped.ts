import { lacksRoomId, type StoredEvent } from "./event.ts";
import { serverOf } from "./ids.ts";
import type { JsonObject } from "./json.ts";
import type { Room } from "./room.ts";

/** State that an invite or a knock carries about its room, in Synapse's order. */
const STRIPPED_TYPES = [
  "m.room.create",
  "m.room.join_rules",
  "m.room.canonical_alias",
  "m.room.avatar",
  "m.room.encryption",
  "m.room.name",
  "m.room.topic",
];

/** With the inviter's own member event, so that the invited can be shown a name and a face. */
export function strippedState(room: Room, inviter: string | undefined): JsonObject[] {
  const events = STRIPPED_TYPES.flatMap((type) => room.state(type) ?? []);
  const own = inviter === undefined ? undefined : room.members.get(inviter);
  return [...events, ...(own === undefined ? [] : [own])].map(strip);
}

/** The create event of a version 12 room goes along whole, since its hash is the room id (MSC4311). */
function strip(event: StoredEvent): JsonObject {
  if (lacksRoomId(event)) return federationForm(event);
  return { content: event.content, sender: event.sender, state_key: event.stateKey, type: event.type };
}

function federationForm(event: StoredEvent): JsonObject {
  return {
    auth_events: [],
    prev_events: [],
    type: event.type,
    sender: event.sender,
    content: event.content,
    depth: event.depth,
    origin_server_ts: event.originServerTs,
    hashes: { sha256: event.eventId.slice(1) },
    signatures: { [serverOf(event.sender)]: { "ed25519:a_test": "not a signature" } },
    unsigned: { age_ts: event.originServerTs },
    state_key: event.stateKey,
  };
}
