import { setTimeout as pause } from "node:timers/promises";
import type { Bench, RowMeasure } from "../bench.ts";
import { FLOOD_ROOMS, floodUser, GROUP_ROOMS, GROUP_USERS, groupUser, tokenOf } from "../population.ts";
import type { Row } from "../row.ts";
import { quantile } from "../statistics.ts";
import { keptConnections, parseSync, patientSync, type SyncCall } from "../sync-client.ts";
import type { LiveDone } from "../upstream/orders.ts";

/**
 * A device may make 20 requests a second. An event and the reader's new count may come in two answers, so that a group has
 * news less than 10 times a second.
 */
const INTERVAL_MS = 120;
export const WARM_UP_SECONDS = 2;
const POLL_MS = 20_000;
/** How long after the last event one may still arrive. */
const DRAIN_MS = 3_000;

export interface Scene {
  readonly audience: "groups" | "single users";
  /** Groups of {@link GROUP_USERS} users, or users who share no room. Each of them is polled and waits. */
  readonly parties: number;
  /** Events in one response. */
  readonly events: number;
  readonly isPromised: boolean;
}

/**
 * What is promised is the way of an event while others happen at the given rate, all over the server. Beside that: as many
 * all at once, each told to five users; and few, for many users.
 */
const SCENES: readonly Scene[] = [
  { audience: "groups", parties: 1, events: 12, isPromised: true },
  { audience: "single users", parties: 60, events: 2, isPromised: true },
  { audience: "groups", parties: 1, events: 120, isPromised: false },
  { audience: "groups", parties: 12, events: 1, isPromised: false },
];

const rateOf = ({ parties, events }: Scene): number => Math.round((parties * events * 1000) / INTERVAL_MS);
const usersOf = ({ audience }: Scene): number => (audience === "groups" ? GROUP_USERS : 1);

/** From the homeserver's response to the clients that wait. */
export const live: RowMeasure = {
  key: "live",
  async measure(bench) {
    const rows: Row[] = [];
    const clients = { groups: [] as WaitingClient[], "single users": [] as WaitingClient[] };
    try {
      for (const scene of SCENES.slice(0, bench.sizes.liveScenes)) {
        const own = clients[scene.audience];
        bench.progress(`live: ${rateOf(scene)} events/s for ${scene.parties * usersOf(scene)} clients`);
        await startClients(bench, scene, own);
        await observe(bench, own, scene, WARM_UP_SECONDS);
        rows.push(rowOf(scene, await observe(bench, own, scene, bench.sizes.liveSeconds)));
      }
      return rows;
    } finally {
      for (const client of Object.values(clients).flat()) client.stop();
    }
  },
};

export interface Arrival {
  readonly dueUs: number;
  readonly writtenUs: number;
  readonly arrivedUs: number;
}

export interface Observed {
  readonly arrivals: readonly Arrival[];
  readonly expected: number;
  readonly answers: number;
  readonly seconds: number;
  readonly clientCpuShare: number;
  readonly intakeCpuShare: number;
  readonly databaseCpuShare: number;
}

let runs = 0;

export async function observe(
  bench: Bench,
  clients: readonly WaitingClient[],
  scene: Scene,
  seconds: number,
): Promise<Observed> {
  runs += 1;
  const { service, cluster, upstream } = bench;
  const cpu = () => [service.client.cpuSeconds(), service.intake.cpuSeconds(), cluster.cpuSeconds()];
  for (const client of clients) client.begin(runs);
  const [before, startedMs] = [cpu(), performance.now()];
  const { audience, parties, events } = scene;
  const order = { kind: "live", run: runs, audience, parties, events, intervalMs: INTERVAL_MS, seconds } as const;
  const done = await upstream.tell<LiveDone>(order);
  const elapsed = (performance.now() - startedMs) / 1000;
  const shares = cpu().map((value, index) => (value - (before[index] ?? 0)) / elapsed);
  const expected = done.events * usersOf(scene);
  const deadlineMs = performance.now() + DRAIN_MS;
  while (arrived(clients) < expected && performance.now() < deadlineMs) await pause(20);
  for (const { failure } of clients) if (failure !== undefined) throw failure;
  const [clientCpuShare = 0, intakeCpuShare = 0, databaseCpuShare = 0] = shares;
  return {
    arrivals: clients.flatMap(({ arrivals }) => [...arrivals.values()]),
    expected,
    answers: clients.reduce((sum, client) => sum + client.answers, 0),
    seconds: elapsed,
    clientCpuShare,
    intakeCpuShare,
    databaseCpuShare,
  };
}

const arrived = (clients: readonly WaitingClient[]): number =>
  clients.reduce((sum, { arrivals }) => sum + arrivals.size, 0);

function rowOf(scene: Scene, observed: Observed): Row {
  const { audience, parties, events, isPromised } = scene;
  const { arrivals, expected, answers, seconds } = observed;
  const times = arrivals.map(({ writtenUs, arrivedUs }) => (arrivedUs - writtenUs) / 1000);
  const fromDue = arrivals.map(({ dueUs, arrivedUs }) => (arrivedUs - dueUs) / 1000);
  const reached = arrivals.length / usersOf(scene) / seconds;
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const clients = parties * usersOf(scene);
  const who =
    audience === "single users"
      ? `${parties} users with ${FLOOD_ROOMS} rooms of their own`
      : `${parties === 1 ? "" : `${parties} groups of `}${GROUP_USERS} users in ${GROUP_ROOMS} rooms`;
  const turns = parties === 1 ? "all at once" : "in turns";
  return {
    key: `live-${rateOf(scene)}-${clients}`,
    quantity: `event in to client out, ${rateOf(scene).toLocaleString("en")} events/s, ${clients} clients`,
    figures: [
      { name: "p50", value: quantile(times, 0.5), unit: "ms", target: isPromised ? 5 : undefined },
      { name: "p99", value: quantile(times, 0.99), unit: "ms", target: isPromised ? 40 : undefined },
    ],
    how:
      `From just before the homeserver writes its response (the time stands in the event) to the head of the answer. ` +
      `${who}, each of them polled and waiting; every ${INTERVAL_MS} ms each gets a response with ` +
      `${audience === "groups" ? "the same " : ""}${events === 1 ? "event" : `${events} events`}, ${turns}. Reached: ${Math.round(reached)} events/s, ` +
      `${Math.round(answers / seconds)} answers/s, ` +
      `${arrivals.length === expected ? "all events arrived" : `${arrivals.length} of ${expected} arrived`}. From when the ` +
      `event happened: p50 ${quantile(fromDue, 0.5).toFixed(1)} ms, p99 ${quantile(fromDue, 0.99).toFixed(1)} ms. CPU of a ` +
      `core: serving ${percent(observed.clientCpuShare)}, intake ${percent(observed.intakeCpuShare)}, database ` +
      `${percent(observed.databaseCpuShare)}.`,
  };
}

/** Brings `clients` up to what the scene needs. One after the other: their first syncs are no part of what is measured. */
export async function startClients(bench: Bench, scene: Scene, clients: WaitingClient[]): Promise<void> {
  const url = bench.service.client.clientUrl;
  const isGroup = scene.audience === "groups";
  for (let index = clients.length; index < scene.parties * usersOf(scene); index += 1) {
    const name = isGroup ? groupUser(Math.floor(index / GROUP_USERS), index % GROUP_USERS) : floodUser(index);
    const agent = keptConnections(false);
    const range = [0, (isGroup ? GROUP_ROOMS : FLOOD_ROOMS) - 1] as const;
    clients.push(await WaitingClient.start({ url, token: tokenOf(name), agent, connId: "live", range }));
  }
}

const STAMPS = /"bench":\{"id":"(\d+)\/(\d+\/\d+)","due":(\d+),"written":(\d+) *\}/g;

/** A client that always waits for news, and notes when which event arrived first. */
export class WaitingClient {
  arrivals = new Map<string, Arrival>();
  answers = 0;
  /** What ended the waiting. */
  failure: unknown;
  #run = "";
  #isStopped = false;
  readonly #call: SyncCall;
  #pos: string;

  private constructor(syncCall: SyncCall, pos: string) {
    this.#call = syncCall;
    this.#pos = pos;
    void this.#loop();
  }

  static async start(syncCall: SyncCall): Promise<WaitingClient> {
    return new WaitingClient(syncCall, parseSync(await patientSync(syncCall)).pos);
  }

  /** Only events of this run count from now on. */
  begin(run: number): void {
    this.#run = String(run);
    this.arrivals = new Map();
    this.answers = 0;
  }

  stop(): void {
    this.#isStopped = true;
    this.#call.agent.destroy();
  }

  async #loop(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const answer = await patientSync({ ...this.#call, pos: this.#pos, timeoutMs: POLL_MS });
        this.answers += 1;
        this.#note(answer.body.toString("latin1"), answer.headUs);
        this.#pos = parseSync(answer).pos;
      } catch (error) {
        if (!this.#isStopped) this.failure = error;
        return;
      }
    }
  }

  #note(text: string, arrivedUs: number): void {
    for (const [, run, id = "", due, written] of text.matchAll(STAMPS)) {
      if (run !== this.#run || this.arrivals.has(id)) continue;
      this.arrivals.set(id, { dueUs: Number(due), writtenUs: Number(written), arrivedUs });
    }
  }
}
