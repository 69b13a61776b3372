import { expect, test } from "@jest/globals";
import { LOG_FIELDS } from "../../../src/logging/fields.ts";
import { createLogger } from "../../../src/logging/logger.ts";

type Options = Parameters<typeof createLogger>[0];

function startLogger(options: Partial<Options> = {}) {
  const lines: string[] = [];
  const log = createLogger({ level: "info", format: "json", ...options }, { write: (line) => void lines.push(line) });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line)) };
}

test("a line is one JSON object with time, level, fields and message, all of them documented", () => {
  const { log, lines, parsed } = startLogger();
  log.info({ user: "@alice:example.org", durationMs: 3 }, "answered");
  log.warn("stopping");
  expect(lines.every((line) => line.endsWith("}\n"))).toBe(true);
  expect(parsed()).toEqual([
    { time: expect.any(String), level: "info", user: "@alice:example.org", durationMs: 3, msg: "answered" },
    { time: expect.any(String), level: "warn", msg: "stopping" },
  ]);
  expect(new Date(parsed()[0].time).toISOString()).toBe(parsed()[0].time);
  for (const name of parsed().flatMap(Object.keys)) expect(LOG_FIELDS).toHaveProperty(name);
});

test("a line below the level is not written, nor are its fields read", () => {
  const { log, lines } = startLogger({ level: "warn" });
  const fields = {
    get rooms() {
      throw new Error("read");
    },
  };
  log.info(fields, "told");
  log.error("told");
  expect(lines).toHaveLength(1);
  expect([log.isLevelEnabled("info"), log.isLevelEnabled("warn")]).toEqual([false, true]);
});

test("a child adds its fields to each line, and its children add theirs", () => {
  const { log, parsed } = startLogger();
  log.child({ user: "@a:b" }).child({ device: "D" }).info({ room: "!r:b" }, "told");
  expect(parsed()).toEqual([expect.objectContaining({ user: "@a:b", device: "D", room: "!r:b", msg: "told" })]);
});

test.each(["json", "pretty"] as const)("no secret reaches the %s log, by whatever way it comes", (format) => {
  const { log, lines } = startLogger({ format });
  const url = "https://hs/sync?access_token=SECRET";
  const err = new Error(`GET ${url}`, { cause: { headers: { authorization: "SECRET" } } });
  log.info(`GET ${url}`);
  log.info({ url }, "asked");
  log.error({ err }, "failed");
  log.child({ url }).child({ err }).info("asked");
  expect(lines).toHaveLength(4);
  expect(lines.join("")).not.toContain("SECRET");
  expect(lines.join("").split("[redacted]").length).toBeGreaterThan(5);
});

test("a pretty line has the time of day, the level, the message and the fields", () => {
  const { log, lines } = startLogger({ format: "pretty" });
  log.info({ user: "@alice:example.org", reason: "two words", rooms: 3 }, "answered");
  expect(lines).toEqual([
    expect.stringMatching(
      /^\d\d:\d\d:\d\d\.\d{3} INFO {2}answered user=@alice:example\.org reason="two words" rooms=3\n$/,
    ),
  ]);
});

test("a pretty line shows the stacks of an error and its cause, and no control characters", () => {
  const { log, lines } = startLogger({ format: "pretty" });
  log.error(
    { err: new Error("outer\u001b[31m", { cause: new Error("inner") }), room: "!a\n:b" },
    "failed\r\nINFO forged",
  );
  const [line = ""] = lines;
  expect(line).toMatch(
    /ERROR failed\\r\\nINFO forged room="!a\\n:b"\n {2}Error: outer\\u001b\[31m\n {6}at .*\n {2}caused by\n {2}Error: inner\n/s,
  );
  expect(line.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
});
