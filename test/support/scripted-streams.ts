// The pollers as they run, before an upstream that says byte for byte what a test wrote, and holds polls when it has no more.
import type { IncomingMessage, ServerResponse } from "node:http";
import { startUpstream, type TestUpstream } from "../service/http-upstream.ts";
import { openTestDatabase, type TestDatabase } from "./database.ts";
import { type IntakeRun, type RunOptions, startIntake, until, want } from "./intake-run.ts";

/** One answer: a whole body, or what writes one. */
export type Step = string | Buffer | ((response: ServerResponse) => void);

/** A device with its answers. `at` a token come, one after the other, the answers to polls from there. */
export interface ScriptedStream {
  readonly name: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly token: string;
  /** Polls from `since` (`""`: without one) are answered with these, the last one again and again. */
  readonly answers: Readonly<Record<string, readonly Step[]>>;
}

export class ScriptedStreams implements AsyncDisposable {
  readonly db: TestDatabase;
  readonly intake: IntakeRun;
  /** Polls whose `since` was not what is stored. */
  readonly wrong: string[] = [];
  /** By name and `since`: how many polls were answered. */
  readonly polls = new Map<string, number>();
  readonly #upstream: TestUpstream;
  readonly #streams = new Map<string, ScriptedStream>();

  private constructor(db: TestDatabase, upstream: TestUpstream, intake: IntakeRun) {
    this.db = db;
    this.#upstream = upstream;
    this.intake = intake;
    upstream.on("/_matrix/client/v3/sync", (request, response) => void this.#answer(request, response));
  }

  static async start(options: RunOptions = {}): Promise<ScriptedStreams> {
    const [db, upstream] = await Promise.all([openTestDatabase(), startUpstream()]);
    return new ScriptedStreams(db, upstream, await startIntake(db, upstream.url, options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.intake[Symbol.asyncDispose]();
    await this.#upstream[Symbol.asyncDispose]();
    await this.db[Symbol.asyncDispose]();
  }

  /** A new user's device is polled from now on. */
  async poll(name: string, answers: ScriptedStream["answers"]): Promise<ScriptedStream> {
    const stream = { name, userId: `@${name}:test`, deviceId: name, token: `token of ${name}`, answers };
    this.#streams.set(stream.token, stream);
    await want(this.db, stream);
    return stream;
  }

  /** All of them are polled from the token, so that all before it is stored. */
  async reach(since: string, streams: readonly ScriptedStream[]): Promise<void> {
    await until(() => streams.every(({ name }) => this.polls.has(`${name} ${since}`)));
  }

  async #answer({ url = "", headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const token = headers.authorization?.replace("Bearer ", "") ?? "";
    const stream = this.#streams.get(token);
    if (stream === undefined) throw new Error(`nobody has ${token}`);
    const since = new URL(url, "http://test").searchParams.get("since") ?? "";
    const [row] = await this.db.query<{ since: string | null }>({
      text: "SELECT since FROM devices WHERE device_id = $1",
      values: [stream.deviceId],
    });
    if ((row?.since ?? "") !== since) this.wrong.push(`${stream.name} asks from ${since}, and ${row?.since} is stored`);
    const key = `${stream.name} ${since}`;
    const count = this.polls.get(key) ?? 0;
    this.polls.set(key, count + 1);
    const steps = stream.answers[since] ?? [];
    const step = steps[Math.min(count, steps.length - 1)];
    if (step === undefined) return;
    if (typeof step === "function") step(response);
    else response.writeHead(200, { "content-type": "application/json" }).end(step);
  }
}
