// What matrix-rust-sdk accepts as an answer: one value of a wrong type, and the client drops the answer as a whole.
import type { Answer } from "../conformance/answer.ts";

/** An answer that the SDK takes. */
export type DecodedAnswer = Answer;

/** An answer that the SDK would drop; the message names where it is wrong. */
export class RefusedAnswerError extends Error {
  override readonly name = "RefusedAnswerError";

  constructor(path: string, expected: string, value: unknown) {
    super(`${path} must be ${expected}, and is ${JSON.stringify(value) ?? "absent"}`);
  }
}

/** Throws {@link RefusedAnswerError} for the first value that the SDK's deserializer refuses. */
export function decodeAnswer(json: unknown): DecodedAnswer {
  ANSWER(json, "$");
  return json as DecodedAnswer;
}

type Check = (value: unknown, path: string) => void;

interface Field {
  readonly check: Check;
  readonly mayBeAbsent: boolean;
  readonly mayBeNull: boolean;
}

const required = (check: Check): Field => ({ check, mayBeAbsent: false, mayBeNull: false });
/** Something stands for it where it is absent; `null` is a value of the wrong type. */
const defaulted = (check: Check): Field => ({ check, mayBeAbsent: true, mayBeNull: false });
const optional = (check: Check): Field => ({ check, mayBeAbsent: true, mayBeNull: true });

const expecting =
  (expected: string, holds: (value: unknown) => boolean): Check =>
  (value, path) => {
    if (!holds(value)) throw new RefusedAnswerError(path, expected, value);
  };

/** Keys that are not named pass. */
const struct =
  (fields: Readonly<Record<string, Field>>): Check =>
  (value, path) => {
    object(value, path);
    for (const [key, { check, mayBeAbsent, mayBeNull }] of Object.entries(fields)) {
      const isLeftOut = mayBeAbsent && !Object.hasOwn(value as object, key);
      const member = (value as Record<string, unknown>)[key];
      if (!isLeftOut && !(mayBeNull && member === null)) check(member, `${path}.${key}`);
    }
  };

const mapOf =
  (key: Check, member: Check): Check =>
  (value, path) => {
    object(value, path);
    for (const [name, each] of Object.entries(value as object)) {
      key(name, `${path}.${name}`);
      member(each, `${path}.${name}`);
    }
  };

const arrayOf =
  (item: Check): Check =>
  (value, path) => {
    array(value, path);
    for (const [index, each] of (value as unknown[]).entries()) item(each, `${path}[${index}]`);
  };

const object = expecting("an object", (v) => typeof v === "object" && v !== null && !Array.isArray(v));
const array = expecting("an array", Array.isArray);
const text = expecting("a string", (v) => typeof v === "string");
const boolean = expecting("true or false", (v) => typeof v === "boolean");
const isCount = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 0;
const integer = expecting("an integer from 0 to 2^53 - 1", isCount);
/** It is put into 32 bits without a look. */
const listCount = expecting("an integer from 0 to 2^32 - 1", (v) => isCount(v) && v < 2 ** 32);
const MAX_ID_BYTES = 255;
const isId = (v: unknown, pattern: RegExp): boolean =>
  typeof v === "string" && Buffer.byteLength(v) <= MAX_ID_BYTES && pattern.test(v);
/** The server's name is not part of a room id of version 12. */
const roomId = expecting("a room id", (v) => isId(v, /^![^\0]*$/));
const SERVER_NAME = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+)(?::\d{1,5})?`;
const userId = expecting("a user id", (v) => isId(v, new RegExp(String.raw`^@[^:\0]*:${SERVER_NAME}$`)));
/** Read later and each alone: what is wrong with one is logged, and it is passed over. */
const anything: Check = () => undefined;
const events = arrayOf(anything);

const HERO = struct({ user_id: required(userId), displayname: optional(text), avatar_url: optional(text) });

const ROOM = struct({
  name: optional(text),
  avatar: optional(text),
  initial: optional(boolean),
  is_dm: optional(boolean),
  invite_state: optional(events),
  notification_count: optional(integer),
  highlight_count: optional(integer),
  timeline: defaulted(events),
  required_state: defaulted(events),
  prev_batch: optional(text),
  limited: defaulted(boolean),
  joined_count: optional(integer),
  invited_count: optional(integer),
  num_live: optional(integer),
  bump_stamp: optional(integer),
  heroes: optional(arrayOf(HERO)),
});

const USERS = defaulted(arrayOf(userId));

const EXTENSIONS = struct({
  to_device: optional(struct({ next_batch: required(text), events: defaulted(events) })),
  e2ee: defaulted(
    struct({
      device_lists: defaulted(struct({ changed: USERS, left: USERS })),
      device_one_time_keys_count: defaulted(mapOf(text, integer)),
      device_unused_fallback_key_types: optional(arrayOf(text)),
    }),
  ),
  account_data: defaulted(struct({ global: defaulted(events), rooms: defaulted(mapOf(roomId, events)) })),
  receipts: defaulted(struct({ rooms: defaulted(mapOf(roomId, object)) })),
  typing: defaulted(struct({ rooms: defaulted(mapOf(roomId, object)) })),
});

const ANSWER = struct({
  pos: required(text),
  txn_id: optional(text),
  lists: defaulted(mapOf(text, struct({ count: required(listCount) }))),
  rooms: defaulted(mapOf(roomId, ROOM)),
  extensions: defaulted(EXTENSIONS),
});
