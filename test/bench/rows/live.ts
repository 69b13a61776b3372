import { setTimeout as pause } from "node:timers/promises";
import type { Bench, RowMeasure } from "../bench.ts";
import { GROUP_ROOMS, GROUP_USERS, groupUser, tokenOf } from "../population.ts";
import type { Row } from "../row.ts";
import { quantile } from "../statistics.ts";
import { keptConnections, parseSync, patientSync, type SyncCall } from "../sync-client.ts";
import type { LiveDone } from "../upstream/orders.ts";

/**
 * A device may make 20 requests a second. An event and the reader's new count may come in two answers, so that a group has
 * news less than 10 times a second.
 */
const INTERVAL_MS = 120;
const WARM_UP_SECONDS = 2;
const POLL_MS = 20_000;
/** How long after the last event one may still arrive. */
const DRAIN_MS = 3_000;

interface Scene {
  /** Each of {@link GROUP_USERS} users, of whom each is polled and waits. */
  readonly groups: number;
  /** Events in one response. */
  readonly events: number;
  readonly isPromised: boolean;
}

/** Few clients with many events at once, then many clients with one event at a time. */
const SCENES: readonly Scene[] = [
  { groups: 1, events: 12, isPromised: true },
  { groups: 1, events: 120, isPromised: true },
  { groups: 12, events: 1, isPromised: false },
];

const rateOf = ({ groups, events }: Scene): number => Math.round((groups * events * 1000) / INTERVAL_MS);

/** From the homeserver's response to the clients that wait. */
export const live: RowMeasure = {
  key: "live",
  async measure(bench) {
    const rows: Row[] = [];
    const clients: WaitingClient[] = [];
    try {
      for (const scene of SCENES.slice(0, bench.sizes.liveScenes)) {
        bench.progress(`live: ${rateOf(scene)} events/s for ${scene.groups * GROUP_USERS} clients`);
        await startClients(bench, scene.groups, clients);
        await observe(bench, clients, scene, WARM_UP_SECONDS);
        rows.push(rowOf(scene, await observe(bench, clients, scene, bench.sizes.liveSeconds)));
      }
      return rows;
    } finally {
      for (const client of clients) client.stop();
    }
  },
};

interface Arrival {
  readonly dueUs: number;
  readonly writtenUs: number;
  readonly arrivedUs: number;
}

interface Observed {
  readonly arrivals: readonly Arrival[];
  readonly expected: number;
  readonly answers: number;
  readonly seconds: number;
  readonly clientCpuShare: number;
  readonly intakeCpuShare: number;
  readonly databaseCpuShare: number;
}

let runs = 0;

async function observe(
  bench: Bench,
  clients: readonly WaitingClient[],
  { groups, events }: Scene,
  seconds: number,
): Promise<Observed> {
  runs += 1;
  const { service, cluster, upstream } = bench;
  const cpu = () => [service.client.cpuSeconds(), service.intake.cpuSeconds(), cluster.cpuSeconds()];
  for (const client of clients) client.begin(runs);
  const [before, startedMs] = [cpu(), performance.now()];
  const order = { kind: "live", run: runs, groups, events, intervalMs: INTERVAL_MS, seconds } as const;
  const done = await upstream.tell<LiveDone>(order);
  const elapsed = (performance.now() - startedMs) / 1000;
  const shares = cpu().map((value, index) => (value - (before[index] ?? 0)) / elapsed);
  const expected = done.events * GROUP_USERS;
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
  const { groups, events, isPromised } = scene;
  const { arrivals, expected, answers, seconds } = observed;
  const times = arrivals.map(({ writtenUs, arrivedUs }) => (arrivedUs - writtenUs) / 1000);
  const fromDue = arrivals.map(({ dueUs, arrivedUs }) => (arrivedUs - dueUs) / 1000);
  const reached = arrivals.length / GROUP_USERS / seconds;
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const clients = groups * GROUP_USERS;
  return {
    key: `live-${rateOf(scene)}-${clients}`,
    quantity: `event in to client out, ${rateOf(scene).toLocaleString("en")} events/s, ${clients} clients`,
    figures: [
      { name: "p50", value: quantile(times, 0.5), unit: "ms", target: isPromised ? 5 : undefined },
      { name: "p99", value: quantile(times, 0.99), unit: "ms", target: isPromised ? 40 : undefined },
    ],
    how:
      `From just before the homeserver writes its response (the time stands in the event) to the head of the answer. ` +
      `${groups === 1 ? `${GROUP_USERS} users` : `${groups} groups of ${GROUP_USERS} users`} in ${GROUP_ROOMS} rooms, each ` +
      `user polled and waiting; every ${INTERVAL_MS} ms each of them gets a response with the same ` +
      `${events === 1 ? "event" : `${events} events`}. Reached: ${Math.round(reached)} events/s, ` +
      `${Math.round(answers / seconds)} answers/s, ` +
      `${arrivals.length === expected ? "all events arrived" : `${arrivals.length} of ${expected} arrived`}. From when the ` +
      `event happened: p50 ${quantile(fromDue, 0.5).toFixed(1)} ms, p99 ${quantile(fromDue, 0.99).toFixed(1)} ms. CPU of a ` +
      `core: serving ${percent(observed.clientCpuShare)}, intake ${percent(observed.intakeCpuShare)}, database ` +
      `${percent(observed.databaseCpuShare)}.`,
  };
}

/** Brings `clients` up to so many groups. One after the other: their first syncs are no part of what is measured. */
async function startClients(bench: Bench, groups: number, clients: WaitingClient[]): Promise<void> {
  const url = bench.service.client.clientUrl;
  for (let index = clients.length; index < groups * GROUP_USERS; index += 1) {
    const token = tokenOf(groupUser(Math.floor(index / GROUP_USERS), index % GROUP_USERS));
    const agent = keptConnections(false);
    clients.push(await WaitingClient.start({ url, token, agent, connId: "live", range: [0, GROUP_ROOMS - 1] }));
  }
}

const STAMPS = /"bench":\{"id":"(\d+)\/(\d+\/\d+)","due":(\d+),"written":(\d+)\}/g;

/** A client that always waits for news, and notes when which event arrived first. */
class WaitingClient {
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
