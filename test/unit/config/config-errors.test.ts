import { tmpdir } from "node:os";
import { expect, test } from "@jest/globals";
import { HOMESERVER, problemsOf } from "./config-files.ts";

const yaml = (text: string) => problemsOf({ env: HOMESERVER, files: { "config.yaml": text } });
const env = (variables: Readonly<Record<string, string>>) => problemsOf({ env: { ...HOMESERVER, ...variables } });

test("a misspelt key is named with its file, its line and the key that it may mean", () => {
  const files = { "config.yaml": "# ours\nhomeserver:\n  ulr: https://x" };
  expect(problemsOf({ files })).toContain("homeserver.ulr (config.yaml:3): unknown key; did you mean homeserver.url?");
});

test.each([
  [
    "sync: {max_timelinelimit: 5}",
    "sync.max_timelinelimit (config.yaml:1): unknown key; did you mean sync.max_timeline_limit?",
  ],
  ["homeserver_url: x", "homeserver_url (config.yaml:1): unknown key; did you mean homeserver.url?"],
  ["initial_wait: 1s", "initial_wait (config.yaml:1): unknown key; did you mean sync.initial_wait?"],
  ["frobnicate: 1", "frobnicate (config.yaml:1): unknown key"],
  ["__proto__: {a: 1}", "__proto__ (config.yaml:1): unknown key"],
  [
    "listeners:\n- prot: 1\n  port: 2\n  resources: [client]",
    "listeners.0.prot (config.yaml:2): unknown key; did you mean listeners[].port?",
  ],
])("%p has an unknown key", (text, problem) => {
  expect(yaml(text)).toEqual([problem]);
});

test.each([
  ["sync:\n  initial_wait: ten", 'sync.initial_wait (config.yaml:2): expected a duration such as 10s, got "ten"'],
  ["sync: {initial_wait: 10}", "sync.initial_wait (config.yaml:1): expected a duration such as 10s, got 10"],
  ["sync: {initial_wait: 1h}", 'sync.initial_wait (config.yaml:1): expected a duration from 0ms to 5m, got "1h"'],
  ["client: {body_limit: 1MB}", 'client.body_limit (config.yaml:1): expected a size such as 1MiB, got "1MB"'],
  ["client: {passthrough: yes}", 'client.passthrough (config.yaml:1): expected true or false, got "yes"'],
  [
    "sync: {max_timeline_limit: 0}",
    "sync.max_timeline_limit (config.yaml:1): expected a whole number from 1 to 1000, got 0",
  ],
  [
    "sync: {max_timeline_limit: 1.5}",
    "sync.max_timeline_limit (config.yaml:1): expected a whole number from 1 to 1000, got 1.5",
  ],
  ["logging: {format: xml}", 'logging.format (config.yaml:1): expected one of json, pretty, got "xml"'],
  ["polling: [1]", "polling (config.yaml:1): expected a map of keys, got a list"],
  ["data_dir:", "data_dir (config.yaml:1): expected text; put quotes around a number, got no value"],
  [
    "homeserver: {server_name: 'a b'}",
    'homeserver.server_name (config.yaml:1): expected a server name such as example.org or example.org:8448, got "a b"',
  ],
  ["listeners: []", "listeners (config.yaml:1): expected at least one listener"],
  ["listeners: [{port: 1}]", "listeners.0.resources (config.yaml:1): is missing; expected a list such as [client]"],
  [
    "listeners: [{port: 1, resources: client}]",
    'listeners.0.resources (config.yaml:1): expected a list such as [client], got "client"',
  ],
  [
    "listeners: [{port: 1, resources: [clent]}]",
    'listeners.0.resources.0 (config.yaml:1): expected one of client, internal, got "clent"',
  ],
  ["listeners: [{resources: [client]}]", "listeners.0 (config.yaml:1): expected either a port or a socket"],
  [
    "listeners: [{socket: /s, bind: '::', resources: [client]}]",
    "listeners.0 (config.yaml:1): bind goes with a port, not with a socket",
  ],
  [
    "listeners:\n- {port: 1, resources: [client]}\n- {port: 1, bind: 127.0.0.1, resources: [internal]}",
    "listeners.1.port (config.yaml:3): listeners.0 has the same address; give it another",
  ],
])("%p is refused with the key, the line and what is expected", (text, problem) => {
  expect(yaml(text)).toEqual([problem]);
});

test.each([
  [
    "sync:\n  initial_wait: 1s\n  initial_wait: 2s",
    "sync.initial_wait (config.yaml:3): is set twice; keep one of them",
  ],
  ["", "config.yaml: is empty; name another file or leave it out"],
  ["# nothing", "config.yaml: is empty; name another file or leave it out"],
  ["- a", 'config.yaml: expected a map of keys such as "homeserver:", got a list'],
  ["hello", 'config.yaml: expected a map of keys such as "homeserver:", got a single value'],
  ["a: [1\n", "config.yaml:2: is not valid YAML: deficient indentation"],
  ["a: 1\n---\nb: 2", "config.yaml: is not valid YAML: expected a single document in the stream, but found more"],
])("the file %p is refused", (text, problem) => {
  expect(yaml(text)).toEqual([problem]);
});

test("a value of the environment is named by its variable, a value of the command line by its flag", () => {
  expect(env({ SLIDECAR__SYNC__INITIAL_WAIT: "ten" })).toEqual([
    'sync.initial_wait (SLIDECAR__SYNC__INITIAL_WAIT): expected a duration such as 10s, got "ten"',
  ]);
  expect(env({ SLIDECAR__SYNC__INITIALWAIT: "1s" })).toEqual([
    "sync.initialwait (SLIDECAR__SYNC__INITIALWAIT): unknown key; did you mean sync.initial_wait?",
  ]);
  expect(env({ SLIDECAR__SYNC: "{initial_wait: 1s" })).toEqual([
    "sync (SLIDECAR__SYNC): is not valid YAML: unexpected end of the stream within a flow collection",
  ]);
  expect(env({ SLIDECAR__LISTENERS__0__PORT: "1" })).toEqual([
    "listeners.0.port (SLIDECAR__LISTENERS__0__PORT): a list is set as a whole: SLIDECAR__LISTENERS='[{…}, {…}]'",
  ]);
  expect(env({ SLIDECAR__SECRET: "" })).toEqual([
    "secret (SLIDECAR__SECRET): is set but empty; give it a value or unset it",
  ]);
  expect(problemsOf({ flags: { homeserver: "matrix.example.org" } })).toEqual([
    "homeserver.url (--homeserver): expected a URL that begins with https:// or http:// and has no user name, query " +
      'or fragment, got "matrix.example.org"',
  ]);
});

test("the port flag needs a listener that it can move", () => {
  const files = { "config.yaml": "listeners:\n  - {port: 1, resources: [internal]}" };
  expect(problemsOf({ env: HOMESERVER, files, flags: { port: 2 } })).toEqual([
    "listeners (config.yaml:1): --port needs a listener that serves client on a port; add one or leave --port out",
  ]);
  expect(problemsOf({ env: HOMESERVER, flags: { port: 8009 } })).toEqual([
    "listeners.1.port: listeners.0 has the same address; give it another",
  ]);
});

test("a missing address of the homeserver is named with all the ways to give it", () => {
  expect(problemsOf({})).toEqual([
    "homeserver.url: is not set; set it in a file, as SLIDECAR__HOMESERVER__URL or with --homeserver",
  ]);
});

test.each([
  "ftp://x",
  "x",
  "https://",
  "https://x?a=1",
  "https://x#a",
  "https://u@x",
  "http:x",
])("the homeserver's address %p is refused", (url) => {
  expect(problemsOf({ env: { SLIDECAR__HOMESERVER__URL: url } })).toEqual([
    expect.stringMatching(/^homeserver\.url \(SLIDECAR__HOMESERVER__URL\): expected a URL that begins with https/),
  ]);
});

test("files that cannot be read are all named", () => {
  const folder = tmpdir();
  expect(env({ SLIDECAR__SECRET_FILE: "/no/such", SLIDECAR__DATABASE__URL_FILE: folder })).toEqual([
    `database.url_file (SLIDECAR__DATABASE__URL_FILE): ${folder} cannot be read: it is a folder`,
    "secret_file (SLIDECAR__SECRET_FILE): /no/such cannot be read: there is no such file",
  ]);
});

test("a secret and its file may not both be set, and the file may not be empty", () => {
  const files = { "config.yaml": "secret: a" };
  const both = problemsOf({ env: { ...HOMESERVER, SLIDECAR__SECRET_FILE: "/x" }, files });
  expect(both).toEqual(["secret_file (SLIDECAR__SECRET_FILE): secret is set too (config.yaml:1); keep one of them"]);
  const empty = problemsOf({
    env: HOMESERVER,
    beside: { empty: "\n" },
    files: { "c.yaml": "secret_file: FOLDER/empty" },
  });
  expect(empty).toEqual(["secret_file (c.yaml:1): empty is empty"]);
});

test("an external database needs a secret, and this is said beside all other problems", () => {
  expect(env({ SLIDECAR__DATABASE__URL: "postgres://h/db", SLIDECAR__SYNC__INITIAL_WAIT: "ten" })).toEqual([
    expect.stringMatching(/^sync\.initial_wait /),
    "secret: is not set but needed with database.url (SLIDECAR__DATABASE__URL); set it, or secret_file, in a file or as " +
      "SLIDECAR__SECRET",
  ]);
});

test("credentials in the homeserver's address are refused and not shown", () => {
  const problems = problemsOf({ env: { SLIDECAR__HOMESERVER__URL: "https://u:hunter2@h" } });
  expect(problems).toEqual([expect.stringMatching(/has no user name.*, got text$/)]);
});

test.each([
  ["secret: [hunter2]"],
  ["secret: {hunter2: 1}"],
  ["secret: *hunter2"],
  ["secret: !hunter2 a"],
  ["secret: 'hunter2"],
  ['secret: "a\\hunter2"'],
  ["secret:hunter2"],
  ["{secret:hunter2}"],
  ["database: postgres://u:hunter2@h/db"],
  ["database: {url: mysql://u:hunter2@h/db}\nsecret: a"],
  ["database: {url:postgres://u:hunter2@h/db}"],
  ["listeners: hunter2"],
  ["listeners: [hunter2]"],
  ["secret: hunter2\nsecret: hunter2"],
  ["secret: hunter2\nfoo: 1"],
  ["former_secrets: hunter2"],
  ["former_secrets: [[hunter2]]"],
  ["former_secrets: {hunter2: 1}"],
])("a secret in the wrong place or form is not shown: %p", (text) => {
  const problems = yaml(text);
  expect(problems).not.toEqual([]);
  expect(problems.join("\n")).not.toContain("hunter2");
});
