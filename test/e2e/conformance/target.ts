import type { Session } from "../../support/room-life/api.ts";

/** A server whose sliding sync is tried. */
export interface Target {
  readonly name: "Synapse" | "Slidecar";
  /** Where the homeserver itself is reached. */
  readonly homeserverUrl: string;
  /** Where clients sync. */
  readonly syncUrl: string;
  /** Sets the homeserver up to show these rooms in no sync; only for rows with servers of their own. */
  excludeRooms(roomIds: readonly string[]): Promise<void>;
  /** Resolves when what the homeserver knows of the user has come to the server that is tried. */
  caughtUp(session: Session): Promise<void>;
}
