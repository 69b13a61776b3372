import type { ResponsePart } from "../../../src/intake/ingest/part.ts";

/** Times are counted in stored parts of responses. */
export type StoredTime = number;

const NOBODY: ReadonlySet<string> = new Set();

/** What of a user's own stream was stored. */
class OwnWord {
  readonly heroes = new Set<string>();
  /** Stripped states of invites and knocks, as JSON. */
  readonly stripped = new Set<string>();
  readonly notifications = new Set([0]);
  readonly highlights = new Set([0]);
  /** Whom the user ignores, each list since when. */
  readonly ignoring: { readonly since: StoredTime; readonly ignored: ReadonlySet<string> }[] = [];
  hasSynced = false;
}

/** What the store was told, and when. */
export class Ledger {
  now: StoredTime = 0;
  readonly #brought = new Map<string, StoredTime>();
  readonly #told = new Map<string, StoredTime>();
  readonly #own = new Map<string, OwnWord>();

  note({ source, sections, end, history }: ResponsePart): void {
    this.now += 1;
    const own = this.of(source.userId);
    for (const { kind, timeline, state, stripped, summary, counts } of sections) {
      for (const { eventId, stateKey } of [...timeline, ...state]) {
        noteFirst(this.#brought, eventId, this.now);
        // Who left long ago is told of then, which says nothing of others now.
        const isOfNow = kind !== "leave" || source.poll === "live" || stateKey === source.userId;
        if (isOfNow) noteFirst(this.#told, eventId, this.now);
      }
      if (kind === "invite" || kind === "knock") own.stripped.add(JSON.stringify(stripped.map(jsonOf)));
      for (const userId of summary?.heroes ?? []) own.heroes.add(userId);
      own.notifications.add(counts?.notifications ?? 0);
      own.highlights.add(counts?.highlights ?? 0);
    }
    if (source.poll === "asked" || history !== undefined || end === undefined) return;
    own.hasSynced = true;
    const list = end.rest.accountData.findLast(({ type }) => type === "m.ignored_user_list");
    if (list !== undefined) own.ignoring.push({ since: this.now, ignored: namesIn(list.body, source.userId) });
  }

  of(userId: string): OwnWord {
    const own = this.#own.get(userId) ?? new OwnWord();
    this.#own.set(userId, own);
    return own;
  }

  /** When the first response that had the event was stored; undefined: none was. */
  broughtAt(eventId: string): StoredTime | undefined {
    return this.#brought.get(eventId);
  }

  /** Which events were told of as of what is so now. */
  isToldBy(time: StoredTime): (eventId: string) => boolean {
    return (eventId) => (this.#told.get(eventId) ?? Number.POSITIVE_INFINITY) <= time;
  }

  /** Whom the user has ignored all the time since then, as far as their stream told. */
  ignoredSince(userId: string, time: StoredTime): (sender: string) => boolean {
    const { ignoring } = this.of(userId);
    const atFirst = ignoring.findLast(({ since }) => since <= time)?.ignored ?? NOBODY;
    const later = ignoring.filter(({ since }) => since > time).map(({ ignored }) => ignored);
    return (sender) => [atFirst, ...later].every((each) => each.has(sender));
  }
}

function noteFirst(times: Map<string, StoredTime>, eventId: string, time: StoredTime): void {
  if (!times.has(eventId)) times.set(eventId, time);
}

const jsonOf = (raw: Buffer): unknown => JSON.parse(raw.toString());

/** Nobody ignores themselves. */
function namesIn(list: Buffer, userId: string): ReadonlySet<string> {
  const { content } = jsonOf(list) as { content: { ignored_users?: object } };
  return new Set(Object.keys(content.ignored_users ?? {}).filter((ignored) => ignored !== userId));
}
