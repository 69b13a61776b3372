import type { Session } from "../../support/room-life/api.ts";

/** A server whose sliding sync is tried. */
export interface Target {
  readonly name: "Synapse" | "Slidecar";
  /** Where the homeserver itself is reached. */
  readonly homeserverUrl: string;
  /** Where clients sync. */
  readonly syncUrl: string;
  /** Resolves when what the homeserver knows of the user has come to the server that is tried, for a device that syncs there. */
  caughtUp(session: Session): Promise<void>;
}
