import type { RoomId, UserId, UserNid } from "../../model/ids.ts";
import type { Membership } from "../../model/membership.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";

/** Something that the streams do not settle, so that the homeserver has to be asked, as a user who may know. */
export type Contest = Asker & (StateContest | MembershipContest | TimelineContest | AccountDataContest);

/** A response could not tell all of a room's state: it is to be compared with the homeserver's, as a user who is in the room. */
export type Suspicion = Asker & { readonly kind: "room-state"; readonly roomId: RoomId };

/** Whatever a transaction leaves to be asked. */
export type OpenQuestion = Contest | Suspicion;

/** What is asked value by value. */
export const isContest = (question: OpenQuestion): question is Contest => question.kind !== "room-state";

/** As whom to ask. */
export interface Asker {
  readonly userNid: UserNid;
  readonly userId: UserId;
}

export interface StateContest {
  readonly kind: "state";
  readonly roomId: RoomId;
  readonly type: string;
  readonly stateKey: string;
  /** No value is stored: the member event of somebody who sent an event, or of whom one tells. */
  readonly isMissing: boolean;
}

/** The user's own membership. */
export interface MembershipContest {
  readonly kind: "membership";
  readonly roomId: RoomId;
  readonly stored: Membership;
  /** What the user's own stream says; undefined: another user's stream has spoken. */
  readonly claimed: ClaimedMembership | undefined;
}

/** Where the events of the room's end stand that came with the user's stream. */
export interface TimelineContest {
  readonly kind: "timeline";
  readonly roomId: RoomId;
}

export interface ClaimedMembership {
  readonly kind: ParsedSection["kind"];
  readonly stripped: readonly Buffer[];
  /** The user's own member events, the last one last. */
  readonly own: readonly ParsedEvent[];
  /** The membership was left out where all are told, by a response that knew all that was stored at or below this. */
  readonly leftOutAfter?: StreamPosition;
}

export interface AccountDataContest {
  readonly kind: "account-data";
  /** undefined: it belongs to no room. */
  readonly roomId: RoomId | undefined;
  readonly type: string;
}

/** {@link questionKey} of a member event. */
export const memberKey = (roomId: RoomId, userId: string): string => JSON.stringify([roomId, "m.room.member", userId]);

/** What is asked once, however many streams contest it. */
export function questionKey(contest: OpenQuestion): string {
  const { userNid, roomId = "" } = contest;
  switch (contest.kind) {
    case "state":
      return JSON.stringify([roomId, contest.type, contest.stateKey]);
    case "membership":
      return JSON.stringify([userNid, roomId]);
    case "timeline":
      return JSON.stringify([userNid, roomId, "timeline"]);
    case "room-state":
      return JSON.stringify([roomId]);
    case "account-data":
      return JSON.stringify([userNid, roomId, contest.type, "data"]);
  }
}
