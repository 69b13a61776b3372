import type { StoredEvent } from "../event.ts";
import { type Section, type Splice, spliceInto } from "../faults.ts";
import { type JsonObject, objectOr } from "../json.ts";
import { type SerializeOptions, serialize } from "../serialize.ts";
import { shownAs } from "../shown.ts";
import type { Device } from "../user.ts";
import type { World } from "../world.ts";
import type { RoomAnswer, SyncAnswer } from "./model.ts";

export interface EncodeOptions {
  readonly world: World;
  readonly device: Device;
  readonly stateKey: string;
  readonly withThreads: boolean;
  readonly nextBatch: string;
  /** Scripted events that are put into rooms before they are written. */
  readonly splices: readonly Splice[];
}

/** The body of an answer in pieces, room by room: an account of ten thousand rooms is never one string. */
export function* encodeSync(answer: SyncAnswer, options: EncodeOptions): Generator<string> {
  yield `{"next_batch":${JSON.stringify(options.nextBatch)}`;
  yield member("account_data", answer.accountData.length > 0, { events: answer.accountData });
  yield member("to_device", answer.toDevice.length > 0, { events: answer.toDevice });
  const { changed, left } = answer.deviceLists;
  const lists = { ...(changed.length > 0 ? { changed } : {}), ...(left.length > 0 ? { left } : {}) };
  yield member("device_lists", changed.length + left.length > 0, lists);
  yield member("device_one_time_keys_count", true, answer.oneTimeKeyCounts);
  yield member("device_unused_fallback_key_types", true, answer.unusedFallbackKeyTypes);
  yield* encodeRooms(answer, options);
  yield "}";
}

function member(name: string, isPresent: boolean, value: unknown): string {
  return isPresent ? `,${JSON.stringify(name)}:${JSON.stringify(value)}` : "";
}

function* encodeRooms(answer: SyncAnswer, options: EncodeOptions): Generator<string> {
  const rooms = (list: readonly RoomAnswer[], isJoined: boolean) =>
    list.map((room) => [room.room.id, () => encodeRoom(room, isJoined, options)] as const);
  const stripped = (list: readonly StoredEvent[], key: string) =>
    list.map((event) => [event.roomId, () => ({ [key]: { events: encodeStripped(event, options) } })] as const);
  const sections = {
    join: rooms(answer.join, true),
    invite: stripped(answer.invite, "invite_state"),
    knock: stripped(answer.knock, "knock_state"),
    leave: rooms(answer.leave, false),
  };
  let opening = ',"rooms":{';
  for (const [section, list] of Object.entries(sections) as [Section, (typeof sections)["invite"]][]) {
    const splices = options.splices.filter((splice) => (splice.section ?? "join") === section);
    const known = new Set(list.map(([roomId]) => roomId));
    const added = [...new Set(splices.map(({ roomId }) => roomId))].filter((roomId) => !known.has(roomId));
    const all = [...list, ...added.map((roomId) => [roomId, () => emptyRoom(answer, section, options)] as const)];
    if (all.length === 0) continue;
    yield `${opening}"${section}":{`;
    opening = ",";
    let comma = "";
    for (const [roomId, json] of all) {
      const meant = splices.filter((splice) => splice.roomId === roomId);
      yield `${comma}${JSON.stringify(roomId)}:${JSON.stringify(spliceInto(json(), meant))}`;
      comma = ",";
    }
    yield "}";
  }
  if (opening === ",") yield "}";
}

/** A room that has nothing but what is spliced into it. */
function emptyRoom({ nextBatch }: SyncAnswer, section: Section, { world }: EncodeOptions): JsonObject {
  if (section === "invite" || section === "knock") return {};
  const timeline = { events: [], prev_batch: world.profile.tokens.page(nextBatch, "b"), limited: false };
  return { timeline, state: { events: [] }, account_data: { events: [] } };
}

function serializeOptions({ world, device }: EncodeOptions): SerializeOptions {
  return { nowMs: world.clock.nowMs(), device, format: "sync", previous: world.profile.previousContent };
}

function encodeRoom(answer: RoomAnswer, isJoined: boolean, options: EncodeOptions): JsonObject {
  const { timeline } = answer;
  const form = serializeOptions(options);
  const json: JsonObject = {
    timeline: {
      events: timeline.events.map((shown) => serialize(shown, form)),
      ...(timeline.prevBatch === undefined
        ? {}
        : { prev_batch: options.world.profile.tokens.page(timeline.prevBatch, "b") }),
      limited: timeline.isLimited,
    },
    [options.stateKey]: { events: answer.state.map((event) => serialize(event, { ...form, isState: true })) },
    account_data: { events: answer.accountData },
  };
  if (!isJoined || answer.unread === undefined) return json;
  json.ephemeral = { events: answer.ephemeral };
  const { main, threads } = answer.unread;
  const counts = { ...main };
  if (!options.withThreads) {
    for (const thread of threads.values()) {
      counts.notification_count += thread.notification_count;
      counts.highlight_count += thread.highlight_count;
    }
  }
  json.unread_notifications = counts;
  if (options.withThreads && threads.size > 0) json.unread_thread_notifications = Object.fromEntries(threads);
  json.summary = answer.summary;
  return json;
}

/** The stripped state of the room, then the member event itself, in full. */
function encodeStripped(event: StoredEvent, options: EncodeOptions): JsonObject[] {
  const stripped = event.oddity?.strippedState ?? [];
  const own = serialize(shownAs(event), serializeOptions(options));
  // Synapse takes the state out of an invite, and leaves it in a knock.
  if (event.content.membership === "knock") own.unsigned = { ...objectOr(own.unsigned), knock_room_state: stripped };
  return [...stripped, own];
}
