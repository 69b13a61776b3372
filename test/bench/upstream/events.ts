import { hash } from "node:crypto";
import { userId } from "../population.ts";

/** Words of plain messages; their number decides how well text compresses, which nothing here measures. */
const WORDS = (
  "the be to of and a in that have it for not on with he as you do at this but his by from they we say her she or an " +
  "will my one all would there their what so up out if about who get which go me when make can like time no just him " +
  "know take people into year your good some could them see other than then now look only come its over think also"
).split(" ");

/** Bytes of a ciphertext, before base64; with its envelope an encrypted event has 600 to 1,100 bytes. */
const CIPHER_BYTES = { least: 150, spread: 350 };
const KEY_CIPHER_CHARACTERS = 1_000;
const WORDS_PER_MESSAGE = { least: 10, spread: 60 };

/** A generator of numbers in [0, 1) that gives the same ones in every run (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Event ids are hashes, so that they come in no order, as those of all current room versions. */
export const eventId = (label: string): string => `$${hash("sha256", label, "base64url")}`;

/** Random text to cut ciphertexts from: making it anew for each event would cost more than all the rest. */
const NOISE = Array.from({ length: 800 }, (_, index) => hash("sha256", `noise ${index}`, "base64url")).join("");

export interface EventFacts {
  readonly label: string;
  readonly sender: string;
  readonly tsMs: number;
}

/** A message or an encrypted event, half of each, 650 bytes on average. */
export function messageEvent(facts: EventFacts, random: () => number): string {
  return random() < 0.5 ? plainMessage(facts, random) : encryptedMessage(facts, random);
}

function plainMessage(facts: EventFacts, random: () => number): string {
  const count = WORDS_PER_MESSAGE.least + Math.floor(random() * WORDS_PER_MESSAGE.spread);
  const words = Array.from({ length: count }, () => WORDS[Math.floor(random() * WORDS.length)]);
  return timelineEvent(facts, "m.room.message", `{"msgtype":"m.text","body":"${words.join(" ")}","m.mentions":{}}`);
}

function encryptedMessage(facts: EventFacts, random: () => number): string {
  const length = Math.floor((CIPHER_BYTES.least + random() * CIPHER_BYTES.spread) * 1.35);
  const from = Math.floor(random() * (NOISE.length - length));
  const session = NOISE.slice(from % 1000, (from % 1000) + 43);
  const content =
    `{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"${NOISE.slice(from, from + length)}","device_id":"ABCDEFGHIJ",` +
    `"sender_key":"${NOISE.slice(0, 43)}","session_id":"${session}"}`;
  return timelineEvent(facts, "m.room.encrypted", content);
}

/** A key of a room, encrypted for one device: about 1.3 kB, most of it ciphertext. */
export function toDeviceMessage(label: string): string {
  const from = Number.parseInt(hash("sha256", label, "hex").slice(0, 4), 16) % (NOISE.length - KEY_CIPHER_CHARACTERS);
  const key = NOISE.slice(from, from + 43);
  const body = NOISE.slice(from, from + KEY_CIPHER_CHARACTERS);
  return (
    `{"content":{"algorithm":"m.olm.v1.curve25519-aes-sha2","ciphertext":{"${key}":{"body":"${body}","type":1}},` +
    `"org.matrix.msgid":"${hash("sha256", label, "hex").slice(0, 32)}","sender_key":"${NOISE.slice(0, 43)}"},` +
    `"sender":"${userId("friend")}","type":"m.room.encrypted"}`
  );
}

/** As `/sync` gives it, with what is personal in `unsigned`. */
export const timelineEvent = ({ label, sender, tsMs }: EventFacts, type: string, content: string): string =>
  `{"content":${content},"origin_server_ts":${tsMs},"sender":"${userId(sender)}","type":"${type}",` +
  `"unsigned":{"membership":"join","age":4711},"event_id":"${eventId(label)}"}`;

export const stateEvent = (
  { label, sender, tsMs }: EventFacts,
  type: string,
  stateKey: string,
  content: object,
): string =>
  JSON.stringify({
    content,
    origin_server_ts: tsMs,
    sender: userId(sender),
    state_key: stateKey,
    type,
    unsigned: { age: 4711 },
    event_id: eventId(`${label} ${type} ${stateKey}`),
  });
