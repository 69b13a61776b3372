import { types } from "pg";
import { invariant } from "../lib/invariant.ts";

function parseInt8(text: string): number {
  const value = Number(text);
  invariant(Number.isSafeInteger(value), `the store holds no number outside the safe integers, got ${text}`);
  return value;
}

const parseInt8Array = (text: string): (number | null)[] =>
  text === "{}"
    ? []
    : text
        .slice(1, -1)
        .split(",")
        .map((item) => (item === "NULL" ? null : parseInt8(item)));

// Object identifiers of pg_type; they never change.
const INT8 = 20;
const INT8_ARRAY = 1016;

/** How columns become values: as with the driver, but `bigint` is a number. For our connections, not the whole process. */
export const valueParsers = {
  getTypeParser(oid: number, format?: "text" | "binary") {
    if (format !== "binary" && oid === INT8) return parseInt8;
    if (format !== "binary" && oid === INT8_ARRAY) return parseInt8Array;
    return format === "binary" ? types.getTypeParser(oid, "binary") : types.getTypeParser(oid, "text");
  },
} as typeof types;
