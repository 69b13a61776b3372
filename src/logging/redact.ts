import { isNativeError } from "node:util/types";

const REDACTED = "[redacted]";

/**
 * Longest text of one log field, in characters. Longer: an upstream error page fills the log; shorter: stacks are cut.
 */
const MAX_TEXT_CHARACTERS = 8192;

/** Deeper parts of a value are left out of the log. Deeper: one line can hold a whole sync response. */
const MAX_DEPTH = 6;

/** Items of a list, or keys of a map, that are logged. */
const MAX_ITEMS = 100;

const SECRET_NAME = /(?:token|secret|password|passphrase|authorization|cookie)$/i;

/** Each pattern's first group stays; what follows it is taken out. */
const SECRETS_IN_TEXT: readonly RegExp[] = [
  // access_token=… in a query or a form, also with the underscore escaped
  /((?<![\w%-])[\w%-]{0,32}(?:token|secret|password)(?:=|%3D))[^\s&#"'<>\\]+/gi,
  // "access_token": "…" in JSON, access_token: '…' as Node prints objects
  /((?<![\w-])[\w-]{0,32}(?:token|secret|password|authorization|cookie)["']?\s{0,8}:\s{0,8}(["']))(?:\\.|(?!\2)[^\\])+/gi,
  // the same within a JSON string, where each quote has a backslash
  /((?<![\w-])[\w-]{0,32}(?:token|secret|password|authorization|cookie)\\+"\s{0,8}:\s{0,8}\\+")[^"\\]+/gi,
  /(\b(?:Bearer|Basic)\s+)(?!tokens?\b|auth)[\w.~+/=-]+/gi,
  // access and refresh tokens as Synapse and the Matrix Authentication Service form them
  /(\b(?:syt|syr|mat|mct|mar|mcr)_)\w[\w-]{15,}/g,
  // a database URL up to its last @, since its password may hold any character; another URL up to its path
  /(\bpostgres(?:ql)?:\/\/)[^\s"]*(?=@)/gi,
  /(\b[a-z][a-z0-9+.-]{0,15}:\/\/)[^\s/?#@"]+(?=@)/gi,
];

/** Text without the secrets that its form gives away, and not longer than a log line can bear. */
export function redactText(text: string): string {
  const cut = text.length > MAX_TEXT_CHARACTERS ? `${text.slice(0, MAX_TEXT_CHARACTERS)}…` : text;
  return SECRETS_IN_TEXT.reduce((left, pattern) => left.replace(pattern, `$1${REDACTED}`), cut);
}

/**
 * A copy of one field's value for the log: values under secret names and secrets within text are taken out at any depth,
 * errors and URLs become plain, bytes become their number, and what is too deep, too long or circular is cut. Whether a
 * secret is set may be logged, hence true, false and nothing stay.
 */
export function redactField(name: string, value: unknown): unknown {
  return redactNamed(name, value, []);
}

function redactNamed(name: string, value: unknown, parents: readonly object[]): unknown {
  const isPlain = value === undefined || value === null || typeof value === "boolean";
  return SECRET_NAME.test(name) && !isPlain ? REDACTED : redactWithin(value, parents);
}

function redactWithin(value: unknown, parents: readonly object[]): unknown {
  switch (typeof value) {
    case "string":
      return redactText(value);
    case "bigint":
    case "symbol":
      return String(value);
    case "function":
      return "[function]";
    case "object":
      return value === null ? null : redactObject(value, parents);
    default:
      return value;
  }
}

function redactObject(value: object, parents: readonly object[]): unknown {
  if (parents.includes(value)) return "[circular]";
  if (parents.length >= MAX_DEPTH) return "[too deep]";
  const inside = [...parents, value];
  if (isNativeError(value) || value instanceof Error) return redactError(value, inside);
  if (value instanceof URL) return redactText(value.href);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Map)
    return redactEntries(
      [...value].map(([name, inner]) => [String(name), inner]),
      inside,
    );
  if (Array.isArray(value) || value instanceof Set) return redactItems([...value], inside);
  return redactEntries(Object.entries(value), inside);
}

function redactEntries(entries: readonly (readonly [string, unknown])[], parents: readonly object[]): object {
  return Object.fromEntries(
    entries.slice(0, MAX_ITEMS).map(([name, inner]) => [name, redactNamed(name, inner, parents)]),
  );
}

/** Headers also come as lists in which names and values alternate, so an item after a secret name is a secret. */
function redactItems(items: readonly unknown[], parents: readonly object[]): unknown[] {
  return items.slice(0, MAX_ITEMS).map((item, index) => {
    const before = items[index - 1];
    return redactNamed(typeof before === "string" ? before : "", item, parents);
  });
}

function redactError(error: Error, parents: readonly object[]): object {
  const { name, message, stack, cause, ...own } = error;
  return {
    type: error.name,
    message: redactText(error.message),
    ...(error.stack !== undefined && { stack: redactText(error.stack) }),
    ...redactEntries(Object.entries(own), parents),
    ...(error.cause !== undefined && { cause: redactWithin(error.cause, parents) }),
    ...(error instanceof AggregateError && { errors: redactWithin(error.errors, parents) }),
  };
}
