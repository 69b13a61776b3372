import { z } from "zod";
import { choice, duration, flag, httpUrl, integer, postgresUrl, serverName, size, text } from "./values.ts";

/** What the sample file and the manual say of one key or section. */
export interface KeyDocumentation {
  /** Meaning, unit and trade-off, in full sentences. */
  readonly about: string;
  /** As it is written in a file; absent when the key has none. */
  readonly default?: unknown;
  /** Written into the sample file for a key without default: as a setting when the key is required, else as a comment. */
  readonly example?: string | readonly string[];
  /** The value is never shown, and `<key>_file` may name a file that holds it. */
  readonly isSecret?: true;
}

export const keyDocumentation = z.registry<KeyDocumentation>();

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;

const homeserver = section("The homeserver that Slidecar stands beside.", {
  url: httpUrl().register(keyDocumentation, {
    about:
      "Base URL of the homeserver's client API, as Slidecar reaches it. An address inside the same network is " +
      "faster than the public one.",
    example: "https://matrix.example.org",
  }),
  server_name: optional(serverName(), {
    about: "The part of user ids after the colon. Left out, it is taken from the first user who syncs.",
    example: "example.org",
  }),
});

const database = section(
  "Where everything is stored. Without a URL, Slidecar runs a Postgres of its own in data_dir, which suits one " +
    "process and small installations.",
  {
    url: optional(postgresUrl(), {
      about: "Connection URL of a Postgres 14 to 18.",
      example: "postgres://slidecar:password@localhost/slidecar",
      isSecret: true,
    }),
    url_file: optional(text(), fileTwin("database.url")),
    pool_size: withDefault(integer({ min: 2, max: 200 }), {
      about:
        "Database connections of one process. More answer more requests at the same time; the sum over all processes " +
        "must stay below max_connections of the database.",
      default: 10,
    }),
  },
);

const listener = z
  .strictObject(
    {
      port: optional(integer({ min: 0, max: 65_535 }), { about: "TCP port. 0 takes any free one." }),
      bind: optional(text(), {
        about:
          "Address to listen on with a port. 127.0.0.1 unless given; 0.0.0.0 or :: makes it reachable from outside.",
      }),
      socket: optional(text(), {
        about:
          "Path of a Unix socket to listen on, in place of a port. A relative path starts at the working directory.",
      }),
      resources: z
        .array(choice(["client", "internal"]), "expected a list such as [client]")
        .min(1, "expected a list that names client, internal or both")
        .register(keyDocumentation, {
          about:
            "What is served: client is what Matrix clients call; internal is /metrics, /live and /ready, which must " +
            "not be reachable from outside.",
        }),
    },
    "expected a map of keys",
  )
  .superRefine((value, context) => {
    if ((value.port === undefined) === (value.socket === undefined)) {
      context.addIssue({ code: "custom", message: "expected either a port or a socket", input: value });
    } else if (value.socket !== undefined && value.bind !== undefined) {
      context.addIssue({ code: "custom", message: "bind goes with a port, not with a socket", input: value });
    }
  });

const client = section("What clients may do.", {
  passthrough: withDefault(flag(), {
    about:
      "Pass every client path that Slidecar does not serve on to the homeserver, so that clients need one address " +
      "only. Off, the reverse proxy has to send those paths to the homeserver.",
    default: true,
  }),
  body_limit: withDefault(size({ min: 1024, max: 64 * 1024 ** 2 }), {
    about:
      "Largest request body that is read, in bytes (B, KiB, MiB, GiB); a larger one is answered with 413. Higher, " +
      "a client can take more memory; lower, requests with many lists and subscriptions fail. Bodies that are " +
      "passed through are not measured.",
    default: "1MiB",
  }),
});

const sync = section("Answers to sliding-sync requests.", {
  initial_wait: withDefault(duration({ min: 0, max: 5 * MINUTE_MS }), {
    about:
      "How long a device's first request is held for its first sync. After that it is answered as soon as there is a " +
      "room to show. Also for how long a first request with nothing else to answer is held until it is known whether its user has left a " +
      "room that it subscribes to. Longer, proxies may give up; shorter, clients show a part of their rooms first.",
    default: "10s",
  }),
  max_timeout: withDefault(duration({ min: SECOND_MS, max: 10 * MINUTE_MS }), {
    about:
      "Upper bound for the time that a client may ask to wait for news. Longer saves requests of idle clients; the " +
      "read timeout of every proxy in between must be above it.",
    default: "2m",
  }),
  max_timeline_limit: withDefault(integer({ min: 1, max: 1000 }), {
    about:
      "Upper bound for the timeline events of one room in one answer. Higher costs reading and bytes; lower makes " +
      "clients fetch the rest from /messages.",
    default: 100,
  }),
  simplified_ops: withDefault(flag(), {
    about: "Add list operations to answers of the simplified dialect. No known client reads them; they cost bytes.",
    default: false,
  }),
});

const polling = section("How devices are kept in step with the homeserver's own /sync.", {
  timeline_limit: withDefault(integer({ min: 1, max: 100 }), {
    about:
      "Timeline events of one room that one upstream response may bring. Higher leaves fewer gaps after a pause; " +
      "lower makes initial syncs smaller. Homeservers cap it at 100.",
    default: 50,
  }),
  idle_after: withDefault(duration({ min: SECOND_MS, max: 7 * DAY_MS }), {
    about:
      "How long a device that makes no requests is still polled. Longer, a client that returns finds its news " +
      "stored; shorter saves the homeserver work.",
    default: "30m",
  }),
  catch_up_wait: withDefault(duration({ min: 0, max: 30 * SECOND_MS }), {
    about:
      "How long a request of a device that was idle waits for the first upstream response to be stored. Longer, the " +
      "answer is complete; shorter, it comes sooner and the news follow in the next one.",
    default: "1s",
  }),
  initial_concurrency: withDefault(integer({ min: 1, max: 100 }), {
    about:
      "Initial syncs that run at the same time in the whole installation. Higher lets more new devices start " +
      "together; each is heavy work for the homeserver.",
    default: 4,
  }),
});

const logging = section("Log lines on standard output.", {
  level: withDefault(choice(["trace", "debug", "info", "warn", "error", "fatal"]), {
    about: "The least severe level that is written. debug tells of every request and poll; trace of their parts.",
    default: "info",
  }),
  format: withDefault(choice(["json", "pretty"]), {
    about: "json writes one object per line for log collectors, pretty one readable line for a terminal.",
    default: "json",
  }),
});

const metrics = section("Prometheus metrics.", {
  enabled: withDefault(flag(), {
    about: "Serve /metrics on the listeners with the resource internal.",
    default: true,
  }),
});

/** Every key that Slidecar reads: types, bounds, defaults and documentation. Output in the units of {@link Config}. */
export const configSchema = z.strictObject({
  homeserver,
  database,
  secret: optional(text(), {
    about:
      "Encrypts access tokens in the database. Required with database.url; with Slidecar's own Postgres one is " +
      "generated once into data_dir. Without it the stored tokens are lost, so keep a copy. A good one comes from: " +
      "openssl rand -hex 32.",
    example: "a-long-random-text",
    isSecret: true,
  }),
  secret_file: optional(text(), fileTwin("secret")),
  former_secrets: optional(z.array(text(), "expected a list of texts"), {
    about:
      "Secrets that were `secret` before. What is in the database from their time can still be read, and positions that " +
      "clients got then go on to hold; everything new is made with secret. slidecar rotate-secret seals the stored tokens " +
      "anew; after that a former secret is needed for clients' positions only, at most 30 days.",
    example: ["the-text-that-secret-was-before"],
    isSecret: true,
  }),
  former_secrets_file: optional(text(), {
    about: "File that holds former_secrets, in place of it: one on each line. White space around them is ignored.",
    example: "/run/secrets/former_secrets",
  }),
  data_dir: withDefault(text(), {
    about:
      "Folder of Slidecar's own Postgres and of the generated secret. Unused with database.url and secret. A " +
      "relative path starts at the working directory.",
    default: "./data",
  }),
  listeners: withDefault(z.array(listener, "expected a list of listeners").min(1, "expected at least one listener"), {
    about: "Where Slidecar listens. A list given in one place replaces a list from a place of lower precedence.",
    default: [
      { port: 8008, bind: "127.0.0.1", resources: ["client"] },
      { port: 8009, bind: "127.0.0.1", resources: ["internal"] },
    ],
  }),
  client,
  sync,
  polling,
  logging,
  metrics,
});

/** What {@link configSchema} makes of complete input; names as in the file, values in their units. */
export type ParsedConfig = z.output<typeof configSchema>;

function section<Shape extends z.ZodRawShape>(about: string, shape: Shape) {
  return z.strictObject(shape, "expected a map of keys").register(keyDocumentation, { about });
}

function optional<Type extends z.ZodType>(type: Type, documentation: KeyDocumentation) {
  return documented(type.optional(), documentation);
}

function withDefault<Type extends z.ZodType>(
  type: Type,
  documentation: KeyDocumentation & { readonly default: z.input<Type> },
) {
  return documented(type.prefault(documentation.default as never), documentation);
}

function documented<Type extends z.ZodType>(type: Type, documentation: KeyDocumentation): Type {
  keyDocumentation.add(type, documentation);
  return type;
}

function fileTwin(key: string): KeyDocumentation {
  return {
    about: `File that holds ${key}, in place of it. White space around its content is ignored.`,
    example: `/run/secrets/${key.replace(".", "_")}`,
  };
}
