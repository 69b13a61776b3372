import { isJsonObject, parseJson, textAt } from "../../lib/json-value.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { Membership, membershipOf } from "../../model/membership.ts";
import { stateKeyOf } from "../../model/room-facts.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { StoredState } from "../../store/reconcile.ts";
import { isLasting } from "../ingest/state-claim.ts";
import { MEMBER } from "./decide.ts";

/** State keys of a room that are reported at most; the rest follows next time. More: one broken room occupies all. */
const MAX_KEYS = 500;

/** How the value of a key differs. `here`: only we have one; `upstream`: only the homeserver has; `other`: another event. */
type DriftKind = "here" | "upstream" | "other";

/** A state key whose stored value is not the homeserver's. */
export interface StateDrift {
  readonly kind: DriftKind;
  readonly type: string;
  readonly stateKey: string;
}

interface ComparedRoom {
  readonly roomId: RoomId;
  /** As whom the homeserver is asked. */
  readonly userId: UserId;
  /** By `stateKeyOf`. */
  readonly stored: ReadonlyMap<string, StoredState>;
  /** All members are stored, as far as anybody knows. */
  readonly areMembersKnown: boolean;
  /** Everything at or below it was stored before the homeserver was asked; of what came later its answer says nothing. */
  readonly storedBefore: StreamPosition;
}

/**
 * Compares what is stored of a room's state with the homeserver's, event by event as it comes. While not all members are known, those
 * that are not stored are no drift: they are learnt as they are needed.
 */
export class StateComparison {
  readonly #room: ComparedRoom;
  readonly #left: Map<string, StoredState>;
  readonly #drift: StateDrift[] = [];
  #isMember = false;
  #hasCreate = false;

  constructor(room: ComparedRoom) {
    this.#room = room;
    this.#left = new Map(room.stored);
  }

  /** One event of the homeserver's state, raw. What is none is passed over. */
  add(raw: Buffer): void {
    const event = parseJson(raw);
    if (!isJsonObject(event)) return;
    const [type, stateKey, eventId] = [textAt(event, "type"), textAt(event, "state_key"), textAt(event, "event_id")];
    const isHere = event.room_id === undefined || event.room_id === this.#room.roomId;
    if (type === undefined || stateKey === undefined || eventId === undefined || !isHere) return;
    if (type === MEMBER && stateKey === this.#room.userId && isJsonObject(event.content)) {
      this.#isMember = membershipOf(event.content) === Membership.join;
    }
    this.#hasCreate ||= type === "m.room.create" && stateKey === "";
    const key = stateKeyOf(type, stateKey);
    const known = this.#room.stored.get(key);
    this.#left.delete(key);
    if (known?.eventId === eventId) return;
    if (known === undefined && type === MEMBER && !this.#room.areMembersKnown) return;
    this.#note(known?.eventId === undefined ? "upstream" : "other", { type, stateKey }, known);
  }

  /** After the last event. undefined: the answer is no member's view of the room, and says nothing. */
  end(): readonly StateDrift[] | undefined {
    if (!this.#isMember || !this.#hasCreate) return undefined;
    for (const known of this.#left.values()) {
      if (known.eventId !== undefined && !isLasting(known.type, known.stateKey)) this.#note("here", known, known);
    }
    return this.#drift;
  }

  #note(kind: DriftKind, { type, stateKey }: Omit<StateDrift, "kind">, known: StoredState | undefined): void {
    const isOld = known === undefined || known.position <= this.#room.storedBefore;
    if (isOld && this.#drift.length < MAX_KEYS) this.#drift.push({ kind, type, stateKey });
  }
}
