import type { Hero, RoomAnswer, TimelineAnswer } from "../../engine/response.ts";
import { isStripped } from "../../model/membership.ts";
import { writeArray, writeEvent } from "../shared/event-json.ts";
import type { PieceWriter } from "../shared/piece-writer.ts";

/**
 * Writes one entry of `rooms`. The JSON types are those that ruma insists on: integers from 0 on, and no `null` but in
 * `avatar`; one wrong value makes a client drop the whole answer.
 *
 * @param isUnnamedConnection the client gave no `conn_id`: matrix-js-sdk, see {@link writeTimeline}.
 */
export function writeRoom(writer: PieceWriter, room: RoomAnswer, isUnnamedConnection: boolean): void {
  writer.text(JSON.stringify(wireFields(room)).slice(0, -1));
  if (isStripped(room.membership)) writeInviteState(writer, room);
  if (room.requiredState.length > 0) {
    writer.text(',"required_state":');
    writeArray(writer, room.requiredState, (event) => writeEvent(writer, event, undefined));
  }
  const isLimitedForClient = isUnnamedConnection && room.isTimelineExpanded;
  if (room.timeline !== undefined) writeTimeline(writer, room.timeline, isLimitedForClient);
  writer.text("}");
}

/** What is left undefined is left out. */
const wireFields = (room: RoomAnswer) => ({
  initial: room.isInitial ? true : undefined,
  name: room.name,
  avatar: room.avatar,
  heroes: room.heroes?.map(wireHero),
  is_dm: room.isDm ? true : undefined,
  joined_count: room.joinedCount === undefined ? undefined : wireCount(room.joinedCount),
  invited_count: room.invitedCount === undefined ? undefined : wireCount(room.invitedCount),
  notification_count: wireCount(room.notificationCount),
  highlight_count: wireCount(room.highlightCount),
  bump_stamp: room.bumpStamp === undefined ? undefined : wireCount(room.bumpStamp),
  unstable_expanded_timeline: room.isTimelineExpanded ? true : undefined,
});

const wireHero = (hero: Hero) => ({
  user_id: hero.userId,
  displayname: hero.displayName,
  avatar_url: hero.avatarUrl,
});

const wireCount = (value: number): number => (Number.isSafeInteger(value) && value > 0 ? value : 0);

/** Its presence alone tells clients that the room is an invite or a knock. */
function writeInviteState(writer: PieceWriter, room: RoomAnswer): void {
  writer.text(',"invite_state":');
  writer.bytes(room.strippedState ?? EMPTY_ARRAY);
}

const EMPTY_ARRAY = Buffer.from("[]");

/**
 * `limited` and `num_live` are there with every timeline, also with an empty one.
 *
 * @param isLimitedForClient matrix-js-sdk recognises events that it has already only where `limited` or `initial` is
 * set; without, it would put the history of an expanded timeline below the messages that it shows.
 */
function writeTimeline(writer: PieceWriter, timeline: TimelineAnswer, isLimitedForClient: boolean): void {
  if (timeline.events.length > 0) {
    writer.text(',"timeline":');
    writeArray(writer, timeline.events, ({ event, transactionId }) => writeEvent(writer, event, transactionId));
  }
  const fields = {
    limited: timeline.limited || isLimitedForClient,
    prev_batch: timeline.prevBatch,
    num_live: timeline.numLive,
  };
  writer.text(`,${JSON.stringify(fields).slice(1, -1)}`);
}
