import type { JsonObject } from "./json.ts";

export interface StoredEvent {
  readonly eventId: string;
  readonly roomId: string;
  readonly type: string;
  readonly stateKey: string | undefined;
  readonly sender: string;
  /** Replaced by its pruned form when the event is redacted. */
  content: JsonObject;
  readonly originServerTs: number;
  /** Order of arrival over all rooms: Synapse's stream ordering. */
  readonly stream: number;
  /** Distance from the create event: Synapse's topological ordering. */
  readonly depth: number;
  readonly redacts: string | undefined;
  /** What this state event took the place of. */
  readonly replaces: StoredEvent | undefined;
  redactedBecause: StoredEvent | undefined;
  /**
   * It was read with its previous content. Synapse's event cache then has the two together, and tells the previous
   * content wherever the event goes.
   */
  knowsPrevious: boolean;
  readonly sentBy: Transaction | undefined;
  readonly oddity: Oddity | undefined;
}

/** The device that sent an event, and the id that it chose: only that device ever sees it again. */
export interface Transaction {
  readonly userId: string;
  readonly deviceId: string;
  readonly txnId: string;
}

/** What sets a scripted event apart from one that a local user sends to the end of the room. */
export interface Oddity {
  /** Its predecessor is not the event before it in the stream. */
  readonly forked?: boolean;
  /** A state event that loses state resolution: in the timeline, never in the current state. */
  readonly loses?: boolean;
  /** Never sent to a client: it failed softly, or redacts what is not known. */
  readonly withheld?: boolean;
  /** An invite, knock or rejection in a room that this server is not in: it has no state around it. */
  readonly outlier?: boolean;
  readonly strippedState?: readonly JsonObject[];
}

/** What is needed to write an event; the rest follows from where it is appended. */
export interface EventDraft {
  readonly type: string;
  readonly sender: string;
  readonly content: JsonObject;
  readonly stateKey?: string | undefined;
  readonly eventId?: string | undefined;
  readonly originServerTs?: number | undefined;
  readonly depth?: number | undefined;
  readonly redacts?: string | undefined;
  readonly sentBy?: Transaction | undefined;
  readonly oddity?: Oddity | undefined;
}

/** From room version 12 on the room id is the create event's hash, so that the event itself cannot carry it. */
export function lacksRoomId(event: StoredEvent): boolean {
  return event.type === "m.room.create" && !event.roomId.includes(":");
}

export type Membership = "join" | "invite" | "knock" | "leave" | "ban";

export function membershipOf(event: { readonly content: JsonObject } | undefined): Membership {
  const membership = event?.content.membership;
  switch (membership) {
    case "join":
    case "invite":
    case "knock":
    case "ban":
      return membership;
    default:
      return "leave";
  }
}

const keys = new Map<string, Map<string, string>>();

/** One string per (type, state key), shared by all rooms: ten thousand rooms have the same few keys. */
export function stateKeyOf(type: string, stateKey: string): string {
  let ofType = keys.get(type);
  if (ofType === undefined) {
    ofType = new Map();
    keys.set(type, ofType);
  }
  let key = ofType.get(stateKey);
  if (key === undefined) {
    key = `${type}\u0000${stateKey}`;
    ofType.set(stateKey, key);
  }
  return key;
}
