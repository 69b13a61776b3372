import { isObject, type JsonObject, numberOr, objectOr, stringOr } from "./json.ts";
import { MatrixError } from "./matrix-error.ts";

/** What a test asks for, in the shape of the control API. Without conditions it meets every request. */
export interface FaultRequest {
  /** Path pattern; `*` stands for anything. */
  readonly path?: string;
  readonly method?: string;
  readonly user?: string;
  readonly device?: string;
  /** Only requests with (true) or without (false) a `since`. */
  readonly since?: boolean;
  /** How many requests it meets before it is spent. Without it, all. */
  readonly times?: number;
  readonly effect: Effect;
}

/** All given parts apply, in this order. */
export interface Effect {
  /** Held before anything is computed, until released through the control API. */
  readonly hang?: boolean;
  readonly delayMs?: number;
  /** Answered without asking the homeserver. A text body is sent as it is. */
  readonly reply?: {
    readonly status: number;
    readonly body: unknown;
    readonly contentType?: string;
    readonly headers?: Record<string, string>;
  };
  /** The connection is reset: before the first byte (0), or after so many bytes of body. */
  readonly resetAfterBytes?: number;
  /** The body ends cleanly after so many bytes. */
  readonly cutAfterBytes?: number;
  readonly trickle?: { readonly bytes: number; readonly everyMs: number };
  /** `/sync`: another `next_batch`, or this one with its room position so much lower. */
  readonly nextBatch?: string;
  readonly nextBatchBackBy?: number;
  /** `/sync`: an arbitrary event in a room's answer; the room is added where it is not in it. */
  readonly splice?: Splice;
}

export type Section = "join" | "invite" | "knock" | "leave";

export interface Splice {
  readonly roomId: string;
  /** `join`, unless said otherwise. */
  readonly section?: Section;
  readonly part: "timeline" | "state" | "ephemeral" | "account_data" | "invite_state" | "knock_state";
  readonly at?: "start" | "end";
  readonly event: unknown;
}

export interface FaultSubject {
  readonly method: string;
  readonly path: string;
  readonly userId: string | undefined;
  readonly deviceId: string | undefined;
  readonly hasSince: boolean;
}

export interface Fault {
  readonly id: string;
  readonly request: FaultRequest;
  readonly effect: Effect;
  left: number;
  hits: number;
  readonly released: Promise<void>;
  readonly release: () => void;
}

/** The faults in force, each with the number of requests it met. */
export interface Faults {
  add(request: unknown): Fault;
  list(): readonly Fault[];
  get(id: string): Fault;
  clear(id?: string): void;
  /** The faults that a request meets; they are counted as met. */
  meet(subject: FaultSubject): readonly Fault[];
}

export function createFaults(): Faults {
  const faults = new Map<string, Fault>();
  let added = 0;
  const get = (id: string) => {
    const fault = faults.get(id);
    if (fault === undefined) throw new MatrixError(404, "M_NOT_FOUND", `No fault ${id}`);
    return fault;
  };
  return {
    get,
    list: () => [...faults.values()],
    add: (request) => {
      added += 1;
      const fault = createFault(`fault${added}`, request);
      faults.set(fault.id, fault);
      return fault;
    },
    clear: (id) => {
      for (const fault of id === undefined ? [...faults.values()] : [get(id)]) {
        fault.release();
        faults.delete(fault.id);
      }
    },
    meet: (subject) => {
      const met = [...faults.values()].filter((fault) => fault.left > 0 && meets(fault.request, subject));
      for (const fault of met) {
        fault.left -= 1;
        fault.hits += 1;
      }
      return met;
    },
  };
}

function createFault(id: string, request: unknown): Fault {
  const json = objectOr(request);
  if (!isObject(json.effect)) throw new MatrixError(400, "M_BAD_JSON", "A fault needs an effect");
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    id,
    request: json as unknown as FaultRequest,
    effect: json.effect as Effect,
    left: numberOr(json.times, Number.POSITIVE_INFINITY),
    hits: 0,
    released: promise,
    release: resolve,
  };
}

function meets(request: FaultRequest, subject: FaultSubject): boolean {
  const wantsSince = request.since;
  return (
    matchesPath(stringOr(request.path, "*"), subject.path) &&
    (request.method === undefined || request.method === subject.method) &&
    (request.user === undefined || request.user === subject.userId) &&
    (request.device === undefined || request.device === subject.deviceId) &&
    (wantsSince === undefined || wantsSince === subject.hasSince)
  );
}

function matchesPath(pattern: string, path: string): boolean {
  const source = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
  return new RegExp(`^${source}$`).test(path);
}

/** Applies the splices meant for a room to what the homeserver would have said of it. */
export function spliceInto(json: JsonObject, splices: readonly Splice[]): JsonObject {
  for (const { part, at, event } of splices) {
    const section = objectOr(json[part]);
    const events = Array.isArray(section.events) ? section.events : [];
    section.events = at === "start" ? [event, ...events] : [...events, event];
    json[part] = section;
  }
  return json;
}
