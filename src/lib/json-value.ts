/** A JSON object after `JSON.parse`. */
export type JsonObject = { readonly [key: string]: unknown };

/** Parses raw JSON bytes; undefined where they are none. */
export function parseJson(raw: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(raw.toString("utf8"));
    return value;
  } catch {
    return undefined;
  }
}

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A text of the object itself, not of what it inherits. */
export function textAt(object: JsonObject, key: string): string | undefined {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  return typeof value === "string" ? value : undefined;
}

/** Text that a database can hold and that survives UTF-8: no NUL, no lone surrogate. */
export const isStorableText = (text: string): boolean => text.isWellFormed() && !text.includes("\0");
