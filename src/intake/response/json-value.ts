/** A JSON object after `JSON.parse`. */
export type JsonObject = { readonly [key: string]: unknown };

/** Parses raw JSON bytes; undefined where they are none. */
export function parseJson(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString("utf8"));
  } catch {
    return undefined;
  }
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const stringAt = (object: JsonObject, key: string): string | undefined => {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  return typeof value === "string" ? value : undefined;
};

/** A count as the homeserver gives it: an integer from 0, else undefined. */
export const countAt = (object: JsonObject, key: string): number | undefined => {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
};

/** Text that Postgres can store and that survives UTF-8: no NUL, no lone surrogate. */
export const isStorableText = (text: string): boolean => text.isWellFormed() && !text.includes("\0");
