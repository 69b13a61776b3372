import { ChangeFlag } from "../../model/change.ts";
import type { EventNid } from "../../model/ids.ts";
import { type StateChange, type StateValue, stateKeyOf } from "../../model/room-facts.ts";
import type { RoomRow } from "../../model/room-row.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { Source } from "./source.ts";
import type { Standing } from "./state-claim.ts";

const COLUMNS = [
  "isComplete",
  "quarantined",
  "roomVersion",
  "roomType",
  "name",
  "avatar",
  "isEncrypted",
  "historyVisibility",
  "tombstoneSuccessor",
  "joinedCount",
  "invitedCount",
  "membersBatch",
] as const satisfies readonly (keyof RoomRow)[];

/** One section on its way into its room's draft: what it has changed so far. */
export class SectionFold {
  readonly batch: number;
  readonly section: ParsedSection;
  readonly source: Source;
  /** The room has no whole baseline yet: nothing was told of it. */
  readonly isBaseline: boolean;
  /** What it says of state stands, whatever is stored. */
  readonly isAuthority: boolean;
  /** New values by state key. */
  readonly state = new Map<string, StateChange>();
  /** State keys of which the section says what it cannot know. */
  readonly contested = new Map<string, { readonly type: string; readonly stateKey: string }>();
  /** Of those whose value acts until the homeserver was asked: what was current before. */
  readonly unproven = new Map<string, StateValue>();
  /** State events that were read so far. */
  readonly seen = new Set<EventNid>();
  hasCreate = false;
  /** A chunk began after a hole. */
  hasHole = false;
  /** The last event that was put at the end of the room, and the last one that counts for the bump stamp. */
  appended: ParsedEvent | undefined;
  bumped: ParsedEvent | undefined;
  /** Events were put elsewhere than at the end, a hole was closed, or a stored event was rewritten. */
  hasHistory = false;
  /** Its events got no place: nothing tells whether they are newer than the end of the room. */
  isOvertaken = false;
  /** It has an event that its user has just sent, and that another stream brought before. */
  hasSent = false;
  /** A stored event that is current state was redacted. */
  hasRedactedState = false;
  readonly #row: RoomRow;

  constructor(batch: number, section: ParsedSection, source: Source, row: RoomRow) {
    this.batch = batch;
    this.section = section;
    this.source = source;
    this.#row = row;
    this.isBaseline = !row.isComplete;
    const isWanting = !row.isComplete || row.quarantined !== undefined;
    this.isAuthority = section.kind === "join" && isWanting && source.poll !== "asked";
  }

  /** Keeps what has to be asked; `current` is what the claim stands against. */
  note(key: string, type: string, stateKey: string, standing: Standing, current: StateValue | undefined): void {
    if (standing === "proven") {
      this.contested.delete(key);
      this.unproven.delete(key);
      return;
    }
    this.contested.set(key, { type, stateKey });
    if (standing === "restricts" && current !== undefined) this.unproven.set(key, current);
  }

  /** The key takes another value, or none. */
  change(key: string, { type, stateKey, nid, previous }: Omit<StateChange, "batch" | "isBaseline">): void {
    const { batch } = this;
    const earlier = this.state.get(key);
    const before = earlier === undefined ? previous : earlier.previous;
    const isLearnt = this.section.members !== undefined && before === undefined;
    const isBaseline = this.isBaseline || isLearnt;
    // No log tells those who hold the room in memory of what was learnt.
    this.hasHistory ||= isLearnt;
    this.state.set(key, { type, stateKey, nid, previous: before, batch, isBaseline });
  }

  /** Keeps that it is to be asked whether a state event stands. */
  ask({ type, stateKey = "" }: ParsedEvent): void {
    this.contested.set(stateKeyOf(type, stateKey), { type, stateKey });
  }

  get wasEncrypted(): boolean {
    return this.#row.isEncrypted;
  }

  /** The room goes on before everybody's eyes: it comes first in lists. */
  get isLive(): boolean {
    return this.source.poll === "live" && !this.isBaseline;
  }

  /** A key that took other values in between and has its old one again is none of them. */
  stateChanges(): readonly StateChange[] {
    return [...this.state.values()].filter(({ nid, previous }) => nid !== previous);
  }

  /** What those look at who hold the room in memory; 0: nothing happened. */
  flags(row: RoomRow): number {
    const haveColumnsChanged = COLUMNS.some((column) => row[column] !== this.#row[column]);
    const isMoved = this.appended !== undefined;
    const flags =
      (haveColumnsChanged || (isMoved && !this.isLive) ? ChangeFlag.columns : 0) |
      (this.hasRedactedState || this.stateChanges().length > 0 ? ChangeFlag.state : 0) |
      (this.hasHistory ? ChangeFlag.history : 0) |
      (isMoved && this.isLive ? ChangeFlag.activity : 0) |
      (this.bumped !== undefined && this.isLive ? ChangeFlag.bump : 0);
    return this.isBaseline && flags !== 0 ? flags | ChangeFlag.columns | ChangeFlag.history : flags;
  }
}
