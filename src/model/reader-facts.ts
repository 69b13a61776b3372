import type { RoomId, UserId } from "./ids.ts";

/** What is known of a reader beside their rooms. */
export interface ReaderFacts {
  /** Rooms that the user is in as far as it was announced ahead of a first sync; undefined: stored memberships say all. */
  readonly announcedJoined: number | undefined;
  /** Whose messages the user does not want to see (`m.ignored_user_list`). */
  readonly ignored: ReadonlySet<UserId>;
  /** Which rooms are conversations with single people, whether the user is in them or not (`m.direct`). */
  readonly direct: ReadonlySet<RoomId>;
}
