/**
 * An array as PostgreSQL writes it (PostgreSQL 18, 8.15.6). The driver does the same, in several passes over each text; a part of
 * a long response brings thousands of them.
 */
export function arrayLiteral(values: readonly unknown[]): string {
  let text = "{";
  for (let index = 0; index < values.length; index++) {
    if (index > 0) text += ",";
    text += element(values[index]);
  }
  return `${text}}`;
}

function element(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return `"${NEEDS_ESCAPE.test(value) ? value.replace(ESCAPED, "\\$&") : value}"`;
  if (Buffer.isBuffer(value)) return `"\\\\x${value.toString("hex")}"`;
  throw new TypeError(`an array for the database holds a ${typeof value}`);
}

const NEEDS_ESCAPE = /["\\]/;
const ESCAPED = /["\\]/g;
