import { z } from "zod";
import { formatDuration, formatSize, parseDuration, parseSize } from "./quantities.ts";

/** What the documentation calls the type of a value, for example `duration`. */
export const typeNames = z.registry<{ readonly name: string }>();

interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** A duration such as `10s`, read as milliseconds. */
export function duration({ min, max }: Bounds) {
  const range = `expected a duration from ${formatDuration(min)} to ${formatDuration(max)}`;
  return quantity("a duration such as 10s", parseDuration)
    .refine((ms) => ms >= min && ms <= max, range)
    .register(typeNames, { name: "duration" });
}

/** A size such as `1MiB`, read as bytes. */
export function size({ min, max }: Bounds) {
  const range = `expected a size from ${formatSize(min)} to ${formatSize(max)}`;
  return quantity("a size such as 1MiB", parseSize)
    .refine((bytes) => bytes >= min && bytes <= max, range)
    .register(typeNames, { name: "size" });
}

/** A whole number within bounds, both allowed. */
export function integer({ min, max }: Bounds) {
  const message = `expected a whole number from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message).register(typeNames, { name: "number" });
}

/** `true` or `false`. */
export function flag() {
  return z.boolean("expected true or false").register(typeNames, { name: "true or false" });
}

/** One of a few words. */
export function choice<const Words extends readonly string[]>(words: Words) {
  return z.enum(words, `expected one of ${words.join(", ")}`).register(typeNames, { name: words.join(" or ") });
}

/** Text that is not empty. */
export function text() {
  const message = "expected text; put quotes around a number";
  return z.string(message).min(1, "expected text that is not empty").register(typeNames, { name: "text" });
}

/** An absolute http or https URL without credentials, query and fragment; read without its last slash. */
export function httpUrl() {
  const message = "expected a URL that begins with https:// or http:// and has no user name, query or fragment";
  return z
    .string(message)
    .refine(isPlainHttpUrl, message)
    .transform((value) => new URL(value).href.replace(/\/+$/, ""))
    .register(typeNames, { name: "URL" });
}

/** A Postgres connection URL. Its parts are not checked: the driver reads more forms than a URL parser. */
export function postgresUrl() {
  const message = "expected a URL that begins with postgres:// or postgresql://";
  return z
    .string(message)
    .regex(/^postgres(ql)?:\/\/\S+$/, message)
    .register(typeNames, { name: "URL" });
}

/** A server name as it stands after the colon of a user id (Matrix specification, appendices, "Server Name"). */
export function serverName() {
  const message = "expected a server name such as example.org or example.org:8448";
  return z
    .string(message)
    .regex(/^(?:[A-Za-z0-9.-]{1,230}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/, message)
    .register(typeNames, { name: "server name" });
}

function quantity(example: string, parse: (text: string) => number | undefined) {
  const message = `expected ${example}`;
  return z.string(message).transform((value, context) => {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: "custom", message, input: value });
    return z.NEVER;
  });
}

function isPlainHttpUrl(value: string): boolean {
  if (!URL.canParse(value) || !/^https?:\/\//i.test(value)) return false;
  const url = new URL(value);
  return url.username === "" && url.password === "" && !/[?#]/.test(value);
}
