import { isObject, type JsonObject } from "../json.ts";
import type { Line, Played } from "./stage.ts";

/**
 * What two homeservers must agree on, of what they said in the same scene: without ids, times, the names that made
 * users unique, and the order of things that have none. Positions are counted from the scene's first token.
 */
export function normalise({ lines, tag }: Played): Line[] {
  const base = baseOf(lines);
  const names = new Map<string, string>();
  return lines.map(({ name, answer }) => ({
    name,
    answer: rename(ordered(answer ?? null, base), { names, tag, base }),
  }));
}

interface Renaming {
  readonly names: Map<string, string>;
  readonly tag: string;
  readonly base: number;
}

/** Fields that say when or by chance. */
const TIMES = new Set(["age", "ts", "origin_server_ts", "age_ts"]);
const CHANCE = new Set(["hashes", "signatures", "presence"]);
const TOKENS = new Set(["next_batch", "prev_batch", "start", "end"]);
/** Lists that stand for sets. */
const SETS = new Set(["changed", "left", "user_ids"]);

function baseOf(lines: readonly Line[]): number {
  const [, position] = /"(?:next|prev)_batch":"s(\d+)_/.exec(JSON.stringify(lines)) ?? [];
  return Number(position ?? 0);
}

/** Puts what has no order of its own into one that both homeservers have. */
function ordered(value: unknown, base: number): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => ordered(item, base));
    return items.length > 0 && items.every(isState) && !hasTimeline(items) ? items.sort(byStateKey) : items;
  }
  if (!isObject(value)) return value;
  const parts = Object.entries(value).map(([key, part]) => [key, orderedPart(key, part, base)] as const);
  const areIds = parts.length > 0 && parts.every(([key]) => /^[!$]/.test(key));
  const rank = ([key, part]: readonly [string, unknown]) => (areIds ? masked(part, base) : key);
  return Object.fromEntries([...parts].sort((a, b) => compare(rank(a), rank(b))));
}

function orderedPart(key: string, part: unknown, base: number): unknown {
  if (SETS.has(key) && Array.isArray(part)) return [...part].sort();
  // The order of a timeline is its meaning.
  if (key === "timeline" && isObject(part)) return { ...part, events: listOf(part.events, base) };
  if (["chunk", "events_before", "events_after"].includes(key) && Array.isArray(part) && !part.every(isMember))
    return listOf(part, base);
  return ordered(part, base);
}

function listOf(list: unknown, base: number): unknown[] {
  return Array.isArray(list) ? list.map((item) => ordered(item, base)) : [];
}

function isState(item: unknown): item is JsonObject {
  return isObject(item) && typeof item.type === "string" && typeof item.state_key === "string";
}

function isMember(item: unknown): boolean {
  return isState(item) && item.type === "m.room.member";
}

/** Stripped state ends with the one event that has an id; the order before it is the homeserver's own. */
function hasTimeline(items: readonly JsonObject[]): boolean {
  return items.some(({ event_id }) => event_id === undefined);
}

function byStateKey(a: unknown, b: unknown): number {
  const key = (item: unknown) => (isState(item) ? `${item.type} ${item.state_key}` : "");
  return compare(key(a), key(b));
}

function masked(value: unknown, base: number): string {
  return JSON.stringify(value)
    .replace(/[$!][\w-]{18,43}/g, "#")
    .replace(/"(age|ts|origin_server_ts)":\d+/g, "")
    .replace(/s(\d+)(_\d+)+/g, (_match, position: string) => String(Number(position) - base).padStart(6, "0"));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function rename(value: unknown, how: Renaming): unknown {
  if (Array.isArray(value)) return value.map((item) => rename(item, how));
  if (typeof value === "string") return renameText(value, how);
  if (!isObject(value)) return value;
  const parts = Object.entries(value).filter(([key]) => !CHANCE.has(key));
  return Object.fromEntries(
    parts.map(([key, part]) => {
      if (TIMES.has(key)) return [key, "a time"];
      if (TOKENS.has(key) && typeof part === "string") return [key, renameToken(part, how.base)];
      return [renameText(key, how), rename(part, how)];
    }),
  );
}

function renameText(text: string, { names, tag }: Renaming): string {
  const named = (id: string) => {
    const known = names.get(id) ?? `${id.charAt(0)}${names.size + 1}`;
    names.set(id, known);
    return known;
  };
  return text
    .replaceAll(tag, "")
    .replace(/\$[\w-]{43}/g, named)
    .replace(/!(?:[A-Za-z]{18}:example\.org|[\w-]{43})/g, named);
}

/** A token by its place in the rooms' stream alone: the other streams move for reasons of their own. */
function renameToken(token: string, base: number): string {
  const [room = ""] = token.split("_");
  if (room === "s0") return room;
  return room
    .replace(/^s(\d+)$/, (_match, stream: string) => `s+${Number(stream) - base}`)
    .replace(/^t(\d+)-(\d+)$/, (_match, depth: string, stream: string) => `t${depth}+${Number(stream) - base}`);
}
