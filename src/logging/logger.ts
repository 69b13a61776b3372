import { pino } from "pino";
import type { LogFields } from "./fields.ts";
import { formatPretty } from "./pretty.ts";
import { redactField, redactText } from "./redact.ts";

type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

/** Writes lines of one level. The message is a fixed sentence; what varies goes into the fields. */
interface WriteLine {
  (message: string): void;
  (fields: LogFields, message: string): void;
}

export interface Logger extends Readonly<Record<LogLevel, WriteLine>> {
  /** A logger that adds these fields to each of its lines. */
  child(fields: LogFields): Logger;
  /** Whether lines of this level are written; for fields that are costly to gather. */
  isLevelEnabled(level: LogLevel): boolean;
}

interface LoggerOptions {
  readonly level: LogLevel;
  /** `json`: one object per line; `pretty`: one readable line, for a terminal. */
  readonly format: "json" | "pretty";
}

/** Where lines go; each ends with a line break. */
interface LogDestination {
  write(line: string): void;
}

/**
 * Writes log lines to `destination`, standard output unless given. Tokens and other secrets never occur in them: see
 * `redact.ts` for what is taken out.
 */
export function createLogger({ level, format }: LoggerOptions, destination?: LogDestination): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // Errors arrive as plain objects, made by `redactFields`.
    serializers: { err: (err: unknown) => err },
    hooks: format === "pretty" ? { streamWrite: formatPretty } : {},
  };
  return wrap(destination === undefined ? pino(options) : pino(options, destination));
}

function wrap(target: pino.Logger): Logger {
  return {
    trace: writer(target, "trace"),
    debug: writer(target, "debug"),
    info: writer(target, "info"),
    warn: writer(target, "warn"),
    error: writer(target, "error"),
    fatal: writer(target, "fatal"),
    child: (fields) => wrap(target.child(redactFields(fields))),
    isLevelEnabled: (level) => target.isLevelEnabled(level),
  };
}

function writer(target: pino.Logger, level: LogLevel): WriteLine {
  return (first: LogFields | string, second?: string) => {
    if (!target.isLevelEnabled(level)) return;
    if (typeof first === "string") target[level](redactText(first));
    else target[level](redactFields(first), redactText(second ?? ""));
  };
}

function redactFields(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, redactField(name, value)]));
}
