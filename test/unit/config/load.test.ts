import { expect, test } from "@jest/globals";
import { HOMESERVER, load } from "./config-files.ts";

const DEFAULTS = {
  homeserver: { url: "https://matrix.example.org", serverName: undefined },
  database: { kind: "embedded", poolSize: 10 },
  secret: undefined,
  formerSecrets: [],
  dataDir: "./data",
  listeners: [
    { kind: "tcp", port: 8008, bind: "127.0.0.1", resources: ["client"] },
    { kind: "tcp", port: 8009, bind: "127.0.0.1", resources: ["internal"] },
  ],
  client: { passthrough: true, bodyLimitBytes: 1_048_576 },
  sync: { initialWaitMs: 10_000, maxTimeoutMs: 120_000, maxTimelineLimit: 100, simplifiedOps: false },
  polling: { timelineLimit: 50, idleAfterMs: 1_800_000, catchUpWaitMs: 1000, initialConcurrency: 4 },
  logging: { level: "info", format: "json" },
  metrics: { enabled: true },
};

test("the address of the homeserver is all that must be given", () => {
  expect(load({ env: HOMESERVER })).toEqual(DEFAULTS);
});

test("later files win over earlier ones, the environment over files, flags over the environment", () => {
  const config = load({
    files: {
      "a.yaml":
        "homeserver: {url: http://a, server_name: a.org}\ndata_dir: /a\nsync: {initial_wait: 1s, max_timeout: 1m}",
      "b.yaml": "homeserver: {url: http://b}\ndata_dir: /b\nsync: {initial_wait: 2s}",
    },
    env: { SLIDECAR__HOMESERVER__URL: "http://env", SLIDECAR__DATA_DIR: "/env" },
    flags: { homeserver: "http://flag" },
  });
  expect(config.homeserver).toEqual({ url: "http://flag", serverName: "a.org" });
  expect(config.dataDir).toBe("/env");
  expect(config.sync).toMatchObject({ initialWaitMs: 2000, maxTimeoutMs: 60_000 });
  expect(load({ env: HOMESERVER, flags: { dataDir: "/flag" } }).dataDir).toBe("/flag");
});

test("a list replaces the list below it as a whole", () => {
  const { listeners } = load({
    env: HOMESERVER,
    files: { "a.yaml": "listeners:\n  - {socket: /run/slidecar.sock, resources: [client, internal]}" },
  });
  expect(listeners).toEqual([{ kind: "unix", path: "/run/slidecar.sock", resources: ["client", "internal"] }]);
});

test("a section whose keys are all commented out changes nothing", () => {
  expect(load({ env: HOMESERVER, files: { "a.yaml": "sync:\n  # initial_wait: 1s\nlogging:" } })).toEqual(DEFAULTS);
});

test("the port flag moves the first listener that serves clients on a port", () => {
  const files = {
    "a.yaml": `listeners:
  - {port: 1, resources: [internal]}
  - {socket: /s, resources: [client]}
  - {port: 2, bind: "::", resources: [internal, client]}
  - {port: 3, resources: [client]}`,
  };
  const { listeners } = load({ env: HOMESERVER, files, flags: { port: 9 } });
  expect(listeners.map((listener) => (listener.kind === "tcp" ? listener.port : listener.path))).toEqual([
    1,
    "/s",
    9,
    3,
  ]);
  expect(load({ env: HOMESERVER, flags: { port: 0 } }).listeners[0]).toMatchObject({ port: 0 });
});

test("the environment gives text as it is, and lists, maps, numbers and truth values as YAML", () => {
  const config = load({
    env: {
      SLIDECAR__HOMESERVER: "{url: http://whole, server_name: example.org}",
      SLIDECAR__HOMESERVER__URL: "http://part",
      SLIDECAR__SECRET: "*010: #'{",
      SLIDECAR__LISTENERS: "[{port: 80, bind: '::', resources: [client]}]",
      SLIDECAR__METRICS__ENABLED: "false",
      SLIDECAR__POLLING__INITIAL_CONCURRENCY: "7",
      SLIDECAR_SYNC__INITIAL_WAIT: "not ours",
      PATH: "/bin",
    },
  });
  expect(config.homeserver).toEqual({ url: "http://part", serverName: "example.org" });
  expect(config.secret).toBe("*010: #'{");
  expect(config.listeners).toEqual([{ kind: "tcp", port: 80, bind: "::", resources: ["client"] }]);
  expect(config.metrics.enabled).toBe(false);
  expect(config.polling.initialConcurrency).toBe(7);
});

test("secrets are read from the files that hold them, without the white space around", () => {
  const config = load({
    beside: { url: "postgres://u:p@h/db\n", key: "  a secret \n\n" },
    files: { "a.yaml": "database: {url_file: FOLDER/url}" },
    env: { ...HOMESERVER, SLIDECAR__SECRET_FILE: "FOLDER/key" },
  });
  expect(config.database).toEqual({ kind: "external", url: "postgres://u:p@h/db", poolSize: 10 });
  expect(config.secret).toBe("a secret");
});

test("former secrets are a list, or the lines of a file", () => {
  const written = load({ env: { ...HOMESERVER, SLIDECAR__FORMER_SECRETS: "[one, 'two: #']" } });
  expect(written.formerSecrets).toEqual(["one", "two: #"]);
  const inFile = load({
    beside: { former: "\n one \r\n\ntwo: #\n" },
    files: { "a.yaml": "former_secrets_file: FOLDER/former" },
    env: HOMESERVER,
  });
  expect(inFile.formerSecrets).toEqual(["one", "two: #"]);
});

test.each([
  ["https://matrix.example.org/", "https://matrix.example.org"],
  ["HTTP://Hs:8448", "http://hs:8448"],
  ["http://[::1]:8008/prefix/", "http://[::1]:8008/prefix"],
])("the homeserver's address %s is %s", (written, read) => {
  expect(load({ flags: { homeserver: written } }).homeserver.url).toBe(read);
});
