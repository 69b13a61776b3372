import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { RoomReads } from "../../homeserver/room-reads.ts";
import { isJsonObject, type JsonObject, parseJson, textAt } from "../../lib/json-value.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { emptySection, type RoomSection } from "../response/room-section.ts";

const MEMBER = "m.room.member";
/** As many as homeservers name (Client-Server API, `m.heroes`). */
const MAX_HEROES = 5;

/**
 * Reads a room's end and its state as its member sees them, as a section of a first sync would bring them: with the members
 * that the timeline needs, the reader's own, and those that name the room. Messages are read first, so that state is never
 * older than the timeline.
 */
export async function readPreview(
  upstream: Pick<RoomReads, "newestMessages" | "currentState">,
  call: ReadCall,
  { roomId, userId, timelineLimit }: { roomId: RoomId; userId: UserId; timelineLimit: number },
): Promise<RoomSection> {
  const { events, end } = await upstream.newestMessages(call, roomId, timelineLimit);
  const members = new MembersOfPreview(userId, events.map(parseJson).filter(isJsonObject));
  const state: Buffer[] = [];
  await upstream.currentState(call, roomId, (raw) => {
    const event = parseJson(raw);
    if (!isJsonObject(event) || event.type !== MEMBER || members.keeps(event)) state.push(raw);
  });
  return {
    ...emptySection("join", roomId),
    timeline: events.toReversed(),
    stateAfter: state,
    limited: end !== undefined,
    prevBatch: end,
    summary: members.summary(),
  };
}

/** Counts the members of a room as they go by, and says which of them to keep. */
class MembersOfPreview {
  readonly #userId: UserId;
  readonly #needed: ReadonlySet<string>;
  readonly #heroes: string[] = [];
  #joined = 0;
  #invited = 0;

  constructor(userId: UserId, timeline: readonly JsonObject[]) {
    this.#userId = userId;
    const targets = timeline.filter(({ type }) => type === MEMBER).map((event) => textAt(event, "state_key") ?? "");
    this.#needed = new Set([userId, ...targets, ...timeline.map((event) => textAt(event, "sender") ?? "")]);
  }

  keeps(event: JsonObject): boolean {
    const member = textAt(event, "state_key") ?? "";
    const membership = isJsonObject(event.content) ? event.content.membership : undefined;
    if (membership === "join") this.#joined += 1;
    if (membership === "invite") this.#invited += 1;
    const isHere = membership === "join" || membership === "invite";
    const isHero = isHere && member !== this.#userId && this.#heroes.length < MAX_HEROES;
    if (isHero) this.#heroes.push(member);
    return isHero || this.#needed.has(member);
  }

  summary(): RoomSection["summary"] {
    return { heroes: this.#heroes, joinedCount: this.#joined, invitedCount: this.#invited };
  }
}
