import type { EventDraft, StoredEvent } from "../event.ts";
import type { JsonObject } from "../json.ts";
import { createRandom, type Random } from "../random.ts";
import type { Room } from "../room.ts";
import { REACTIONS, sentence } from "./vocabulary.ts";

/** A message in the form that the room wants: text, or what stands for its ciphertext. */
export function message(random: Random, room: Room, sender: string): EventDraft {
  if (room.state("m.room.encryption") !== undefined)
    return { type: "m.room.encrypted", sender, content: encrypted(random) };
  return { type: "m.room.message", sender, content: { msgtype: "m.text", body: sentence(random) } };
}

export function reaction(random: Random, sender: string, to: StoredEvent): EventDraft {
  const relation = { rel_type: "m.annotation", event_id: to.eventId, key: random.pick(REACTIONS) };
  return { type: "m.reaction", sender, content: { "m.relates_to": relation } };
}

export function edit(random: Random, of: StoredEvent): EventDraft {
  const body = sentence(random);
  const content = {
    msgtype: "m.text",
    body: `* ${body}`,
    "m.new_content": { msgtype: "m.text", body },
    "m.relates_to": { rel_type: "m.replace", event_id: of.eventId },
  };
  return { type: "m.room.message", sender: of.sender, content };
}

/** Ciphertexts are cut out of one text of this length: made one by one they would cost more than all else. */
const NOISE_LENGTH = 65_536;
const SHORTEST_CIPHERTEXT = 80;
const CIPHERTEXT_SPREAD = 240;

const NOISE = createNoise(createRandom(NOISE_LENGTH));

function createNoise(random: Random): string {
  const pieces = Array.from({ length: NOISE_LENGTH / 4 }, () =>
    random
      .below(36 ** 4)
      .toString(36)
      .padStart(4, "0"),
  );
  return pieces.join("");
}

function encrypted(random: Random): JsonObject {
  const length = SHORTEST_CIPHERTEXT + random.below(CIPHERTEXT_SPREAD);
  const from = random.below(NOISE_LENGTH - length);
  return {
    algorithm: "m.megolm.v1.aes-sha2",
    ciphertext: NOISE.slice(from, from + length),
    session_id: NOISE.slice(from, from + 43),
    device_id: "NOTAREALDEVICE",
    sender_key: "notarealkey",
  };
}
