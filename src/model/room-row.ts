import type { ChunkNid, RoomId, RoomNid } from "./ids.ts";
import type { Visibility } from "./visibility.ts";

/** The columns of a room that readers share; all follow from its current state and its timeline's end. */
export interface RoomRow {
  readonly room: RoomNid;
  readonly roomId: RoomId;
  readonly isComplete: boolean;
  readonly quarantined: string | undefined;
  readonly roomVersion: string | undefined;
  readonly roomType: string | undefined;
  readonly name: string | undefined;
  readonly avatar: string | undefined;
  readonly isEncrypted: boolean;
  /** Where in the timeline a room that was known became encrypted; undefined: it always was, or is not. */
  readonly encryptionOrderKey: number | undefined;
  readonly historyVisibility: Visibility;
  readonly tombstoneSuccessor: string | undefined;
  readonly joinedCount: number | undefined;
  readonly invitedCount: number | undefined;
  readonly firstOrderKey: number | undefined;
  readonly lastOrderKey: number | undefined;
  readonly lastChunk: ChunkNid | undefined;
  /** The batch with which all members were known; undefined: they are not all known. */
  readonly membersBatch: number | undefined;
  /** Names the reading of all members that is under way. */
  readonly membersReading: number | undefined;
}
