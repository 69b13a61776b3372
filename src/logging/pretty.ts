/** One line for a terminal from one JSON log line: time of day, level, message, then the fields as `name=value`. */
export function formatPretty(line: string): string {
  const { time, level, msg, err, ...fields }: Record<string, unknown> = JSON.parse(line);
  const clock = String(time).slice("2026-01-01T".length, -1);
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${shown(value)}`);
  const text = `${clock} ${String(level).toUpperCase().padEnd(5)} ${msg ?? ""}${pairs.join("")}`;
  return `${visible(text)}${errorText(err)}\n`;
}

/** Control characters would let a logged name move the cursor or forge a line. */
function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
}

function shown(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}

/** An error keeps the lines of its stack, indented; they are what a person at a terminal looks for. */
function errorText(err: unknown): string {
  if (err === undefined) return "";
  const hasStack = typeof err === "object" && err !== null && "stack" in err;
  if (!hasStack) return ` err=${shown(err)}`;
  const { stack, cause } = err as { stack: unknown; cause?: unknown };
  const lines = String(stack).split("\n").map(visible).join("\n  ");
  return `\n  ${lines}${cause === undefined ? "" : `\n  caused by${errorText(cause)}`}`;
}
