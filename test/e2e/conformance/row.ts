// A row of the conformance table: one behaviour of simplified sliding sync, tried on a server through its client API alone.
import type { World } from "./world.ts";

export interface Row {
  /** Its number in the table. */
  readonly number: number;
  /** What a client sees, in a sentence without a full stop. */
  readonly title: string;
  /** Tries it and throws when the server does something else. */
  readonly run: (world: World) => Promise<void>;
  /** The row changes how the homeserver is set up, and is tried on servers of its own. */
  readonly needsOwnServers?: true;
  /** What Slidecar does instead, where it differs from Synapse's own sliding sync; undefined: the same. */
  readonly differs?: Deviation;
}

interface Deviation {
  /** What Slidecar does and why: a rule of clients, of the MSC, or a limit of v2 `/sync`, by its name. */
  readonly reason: string;
  readonly run: (world: World) => Promise<void>;
}
