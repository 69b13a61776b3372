import { CREATE, ENCRYPTION } from "../event-types.ts";

/** What filters have to know of a room that the reader has only stripped state of. */
interface StrippedFacts {
  readonly isEncrypted: boolean;
  /** null: the room has no type. undefined: the stripped state does not say. */
  readonly roomType: string | null | undefined;
}

/** Stripped state never changes once it is stored, and is looked at by every list of every answer. */
const known = new WeakMap<Buffer, StrippedFacts>();

/** Reads a raw JSON array of stripped events; undefined when there is none. What cannot be read says nothing. */
export function strippedFacts(strippedState: Buffer | undefined): StrippedFacts | undefined {
  if (strippedState === undefined) return undefined;
  let facts = known.get(strippedState);
  if (facts === undefined) {
    facts = factsOf(parsed(strippedState));
    known.set(strippedState, facts);
  }
  return facts;
}

function factsOf(events: readonly Record<string, unknown>[]): StrippedFacts {
  const create = events.find((event) => event.type === CREATE);
  return {
    isEncrypted: events.some((event) => event.type === ENCRYPTION),
    roomType: create === undefined ? undefined : typeOf(create.content),
  };
}

function typeOf(content: unknown): string | null {
  const type = isObject(content) ? content.type : undefined;
  return typeof type === "string" ? type : null;
}

function parsed(json: Buffer): readonly Record<string, unknown>[] {
  try {
    const value: unknown = JSON.parse(json.toString("utf8"));
    return Array.isArray(value) ? value.filter(isObject) : [];
  } catch {
    return [];
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
