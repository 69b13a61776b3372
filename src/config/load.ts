import { readFileSync } from "node:fs";
import { isNativeError } from "node:util/types";
import type { Config, ListenerConfig } from "./config.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { configKeys } from "./keys.ts";
import { type ConfigNode, mergeNodes, nodeAt, nodeOf, originOf, withNode } from "./node.ts";
import { ConfigError, dotted, problemLine } from "./problems.ts";
import type { ParsedConfig } from "./schema.ts";
import { fileTwins, validate } from "./validate.ts";
import { readYaml, type SourceContent } from "./yaml.ts";

/** Settings of the command line; they win over all others. */
export interface ConfigFlags {
  readonly homeserver?: string;
  /** Port of the first listener that serves `client` on a port. */
  readonly port?: number;
  readonly dataDir?: string;
}

interface ConfigSources {
  /** YAML files; a later one is laid over an earlier one. */
  readonly files: readonly string[];
  readonly env: Environment;
  readonly flags: ConfigFlags;
}

/**
 * Merges defaults, files in their order, environment and flags, in rising precedence: maps key by key, lists as a whole.
 * Reads the files that hold secrets.
 * @throws {ConfigError} with every problem found. Problems of reading come alone; what is there has not been looked at then.
 */
export function loadConfig({ files, env, flags }: ConfigSources): Config {
  const sources = [...files.map(readFile), readEnvironment(env), { node: flagsNode(flags), problems: [] }];
  stopOn(sources.flatMap((source) => source.problems));
  const merged = sources.reduce((under, { node }) => mergeNodes(under, node), defaults());
  const ported = withClientPort(merged, flags.port);
  const complete = fileTwins.reduce(withFileContent, ported);
  stopOn(complete.problems);
  const validation = validate(complete.node);
  if (!validation.isValid) throw new ConfigError(validation.problems);
  return configOf(validation.parsed);
}

function stopOn(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}

function defaults(): ConfigNode {
  return configKeys.reduce<ConfigNode>(
    (node, key) => {
      const value = key.kind === "section" ? {} : key.documentation.default;
      return value === undefined ? node : withNode(node, key.path.split("."), nodeOf(value, ""));
    },
    nodeOf({}, ""),
  );
}

function readFile(name: string): SourceContent {
  const read = readText(name);
  if (read.text === undefined) return { node: nodeOf({}, name), problems: [`${name}: ${read.problem}`] };
  const content = readYaml(read.text, name);
  if (content.problems.length > 0 || content.node.kind === "map") return content;
  const got = content.node.kind === "list" ? "a list" : "a single value";
  return { node: content.node, problems: [`${name}: expected a map of keys such as "homeserver:", got ${got}`] };
}

function flagsNode({ homeserver, dataDir }: ConfigFlags): ConfigNode {
  const entries = new Map<string, ConfigNode>();
  if (homeserver !== undefined) {
    const url = nodeOf(homeserver, "--homeserver");
    entries.set("homeserver", { kind: "map", entries: new Map([["url", url]]), origin: "--homeserver" });
  }
  if (dataDir !== undefined) entries.set("data_dir", nodeOf(dataDir, "--data-dir"));
  return { kind: "map", entries, origin: "" };
}

function withClientPort(node: ConfigNode, port: number | undefined): SourceContent {
  const listeners = nodeAt(node, ["listeners"]);
  if (port === undefined || listeners?.kind !== "list") return { node, problems: [] };
  const index = listeners.items.findIndex((listener) => {
    const resources = nodeAt(listener, ["resources"]);
    const servesClient =
      resources?.kind === "list" && resources.items.some((item) => item.kind === "value" && item.value === "client");
    return servesClient && nodeAt(listener, ["socket"]) === undefined;
  });
  if (index === -1) {
    const message = `--port needs a listener that serves client on a port; add one or leave --port out`;
    return { node, problems: [problemLine(["listeners"], originOf(node, ["listeners"]), message)] };
  }
  return { node: withNode(node, ["listeners", index, "port"], nodeOf(port, "--port")), problems: [] };
}

/** Puts the content of the file that a `_file` key names in the place of the key itself. */
function withFileContent(
  { node, problems }: SourceContent,
  { path, twin, isList }: (typeof fileTwins)[number],
): SourceContent {
  const file = nodeAt(node, twin);
  // A twin that is not text is left for the schema to refuse.
  if (file?.kind !== "value" || typeof file.value !== "string") return { node, problems };
  const failed = (message: string) => ({ node, problems: [...problems, problemLine(twin, file.origin, message)] });
  const value = nodeAt(node, path);
  if (value !== undefined) return failed(`${dotted(path)} is set too (${value.origin}); keep one of them`);
  const { text, problem } = readText(file.value);
  if (text === undefined) return failed(`${file.value} ${problem}`);
  if (text.trim() === "") return failed(`${file.value} is empty`);
  const content = nodeOf(isList ? linesOf(text) : text.trim(), file.origin);
  return { node: withNode(withNode(node, twin, undefined), path, content), problems };
}

const linesOf = (text: string): readonly string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

type FileText =
  | { readonly text: string; readonly problem?: undefined }
  | { readonly text?: undefined; readonly problem: string };

function readText(name: string): FileText {
  try {
    return { text: readFileSync(name, "utf8") };
  } catch (error) {
    const code = isNativeError(error) && "code" in error ? String(error.code) : "unknown error";
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: "there is no such file",
      EACCES: "no permission to read it",
      EISDIR: "it is a folder",
    };
    return { problem: `cannot be read: ${reasons[code] ?? code}` };
  }
}

function configOf(parsed: ParsedConfig): Config {
  const { homeserver, database, client, sync, polling } = parsed;
  const poolSize = database.pool_size;
  return {
    homeserver: { url: homeserver.url, serverName: homeserver.server_name },
    database:
      database.url === undefined ? { kind: "embedded", poolSize } : { kind: "external", url: database.url, poolSize },
    secret: parsed.secret,
    formerSecrets: parsed.former_secrets ?? [],
    dataDir: parsed.data_dir,
    listeners: parsed.listeners.map(listenerOf),
    client: { passthrough: client.passthrough, bodyLimitBytes: client.body_limit },
    sync: {
      initialWaitMs: sync.initial_wait,
      maxTimeoutMs: sync.max_timeout,
      maxTimelineLimit: sync.max_timeline_limit,
      simplifiedOps: sync.simplified_ops,
    },
    polling: {
      timelineLimit: polling.timeline_limit,
      idleAfterMs: polling.idle_after,
      catchUpWaitMs: polling.catch_up_wait,
      initialConcurrency: polling.initial_concurrency,
    },
    logging: parsed.logging,
    metrics: parsed.metrics,
  };
}

function listenerOf({ port, bind, socket, resources }: ParsedConfig["listeners"][number]): ListenerConfig {
  return socket === undefined
    ? { kind: "tcp", port: port ?? 0, bind: bind ?? "127.0.0.1", resources }
    : { kind: "unix", path: socket, resources };
}
