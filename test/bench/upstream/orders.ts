/** What the upstream is told to do; it answers each order once, when it is done. */
export type Order =
  /** Serve the initial sync of this user's first device from this file, and name so many rooms in those of the others. */
  | { readonly kind: "body"; readonly name: string; readonly file: string; readonly rooms: number }
  /**
   * Let events happen in turns: `events` in one response every `intervalMs`, to each user of a group, or to a user who shares
   * no room.
   */
  | {
      readonly kind: "live";
      readonly run: number;
      readonly audience: "groups" | "single users";
      /** Groups, or users. */
      readonly parties: number;
      readonly events: number;
      readonly intervalMs: number;
      readonly seconds: number;
    }
  /** Have messages for a device, which come with its next poll. */
  | { readonly kind: "to device"; readonly token: string; readonly messages: number }
  /** Answer every poll of these users at once with one event each. */
  | { readonly kind: "flood"; readonly users: number; readonly seconds: number };

export interface LiveDone {
  /** Events that happened. */
  readonly events: number;
}

export interface FloodDone {
  /** Events whose response was followed by the next poll: they were stored. */
  readonly stored: number;
  readonly seconds: number;
}

export interface OrderMessage {
  readonly id: number;
  readonly order: Order;
}

export interface DoneMessage {
  readonly id: number;
  readonly result: unknown;
}

export interface ReadyMessage {
  readonly port: number;
}
