// A homeserver, a database, the product between relays, and clients; rounds in which something of it dies.
import { setTimeout as pause } from "node:timers/promises";
import { createRandom } from "../homeserver/random.ts";
import { type Homeserver, startHomeserver } from "../homeserver/start.ts";
import { type DatabaseRelay, startDatabaseRelay } from "./database-relay.ts";
import { EncryptionClient, type QueryKeys } from "./encryption-client.ts";
import { startClient } from "./following-client.ts";
import { type Guest, welcomeGuest } from "./guest.ts";
import { type HomeserverRelay, startHomeserverRelay } from "./homeserver-relay.ts";
import { type KillableProduct, startKillableProduct } from "./killable-product.ts";
import { isOfServing, planRound, type RoundPlan, type Target, tellPlan } from "./round-plan.ts";
import { type StoppableDatabase, startStoppableDatabase } from "./stoppable-database.ts";
import type { Comparison } from "./stored-truth.ts";
import { type Scene, Traffic } from "./traffic.ts";
import { readFloors } from "./truth.ts";
import { WatchedAccount } from "./watched-account.ts";

const LIVELY_ROOMS = 6;
const FRIENDS = ["ada", "ben", "carla"];
/** Events of one room in one response: more than happen in one while something is down. */
const TIMELINE_LIMIT = 100;

/** Longer: a run that hangs is noticed later. Shorter: a busy machine fails. */
const SETTLE_LIMIT_MS = 45_000;
/** What has differed in the same way for so long stays so. Longer: a fault is told later. Shorter: a process that starts fails. */
const STALL_LIMIT_MS = 20_000;
const LOOK_MS = 25;
/** What has not struck after so much traffic never does. */
const MAX_BURSTS = 30;
/** Some steps come with long responses only. */
const FLOOD_EVERY = 10;
const REHEARSED_BURSTS = 3;
/** Of what a first window brought for its reader alone: they come once, with the stream's first responses. */
const RARE_STEPS: ReadonlySet<string> = new Set(["move-events", "split-chunks", "delete-chunks"]);
/** The same account for all rounds, so that a round's seed alone says what happens in it. */
const HOMESERVER_SEED = 1;
/** The wait before an intake process starts again doubles with each start; above this the product is started anew instead. */
const MAX_INTAKE_RESTARTS = 3;

export interface KillWorldOptions {
  /** What a round may hit. */
  readonly targets?: readonly Target[];
}

export interface KillFigures {
  /** Responses that the homeserver gave. */
  readonly polls: number;
  readonly toDevice: number;
  /** How often the client had to start anew. */
  readonly clientRestarts: number;
  /** Accounts whose first sync was under way when something died. */
  readonly guests: number;
}

export interface RoundReport {
  readonly plan: RoundPlan;
  readonly text: string;
  readonly durationMs: number;
}

export class KillWorld implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #targets: readonly Target[] | undefined;
  /** Steps of storing a response that rounds choose from. */
  #steps: readonly string[] = [];
  #guests = 0;
  #databaseStops = 0;

  /** Everything runs, is quiet, and agrees. */
  static async start(options: KillWorldOptions = {}): Promise<KillWorld> {
    const stack = new AsyncDisposableStack();
    try {
      const world = new KillWorld(await startParts(stack), options);
      await settle([world.#parts.account]);
      await world.#rehearse();
      return world;
    } catch (error) {
      await stack.disposeAsync();
      throw error;
    }
  }

  private constructor(parts: Parts, { targets }: KillWorldOptions) {
    this.#parts = parts;
    this.#targets = targets;
  }

  /** What was taken in so far. */
  get figures(): KillFigures {
    const { relay, login, traffic, account } = this.#parts;
    const clientRestarts = account.client.restarts + this.#parts.encryption.restarts;
    return { polls: relay.delivered(login.token).length, toDevice: traffic.sent, clientRestarts, guests: this.#guests };
  }

  /** Rejects with what differs in the end, and how to see it again. */
  async round(seed: number): Promise<RoundReport> {
    const startedMs = performance.now();
    const plan = planRound(seed, this.#steps, this.#targets);
    const text = tellPlan(plan);
    await using stack = new AsyncDisposableStack();
    try {
      await this.#tidy();
      this.#parts.encryption.useRandom(createRandom(seed));
      const accounts = await this.#untilStruck(plan, stack);
      // What happens while something is down is not lost either.
      await this.#parts.traffic.burst(plan.random);
      await this.#recover(plan.target);
      await settle(accounts);
      checkRestarts(accounts, plan.target);
      this.#checkRepeats();
    } catch (error) {
      throw new Error([text, String(error), ...this.#parts.product.log()].join("\n"));
    }
    return { plan, text, durationMs: performance.now() - startedMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.stack.disposeAsync();
  }

  /** Lets everything happen without a kill, so that every step of storing has been seen. */
  async #rehearse(): Promise<void> {
    const { traffic, databaseRelay } = this.#parts;
    const random = createRandom(HOMESERVER_SEED);
    // Those of a first sync alone do not come again.
    databaseRelay.forgetSteps();
    await traffic.flood(random);
    for (let burst = 0; burst < REHEARSED_BURSTS; burst++) await traffic.burst(random);
    await settle([this.#parts.account]);
    this.#steps = databaseRelay.steps().filter((step) => !RARE_STEPS.has(step));
  }

  async #tidy(): Promise<void> {
    const { product } = this.#parts;
    if ((await product.intakeRestarts()) >= MAX_INTAKE_RESTARTS) await product.restart();
  }

  /** Lets things happen until the moment has come; who takes part. */
  async #untilStruck(plan: RoundPlan, stack: AsyncDisposableStack): Promise<readonly WatchedAccount[]> {
    const { traffic, databaseRelay, relay, account, encryption } = this.#parts;
    const struck = Promise.withResolvers<void>();
    let isStruck = false;
    const strike = () => {
      this.#strike(plan.target);
      isStruck = true;
      struck.resolve();
    };
    const accounts = [account];
    const timer = this.#arm(plan, strike);
    try {
      if (plan.hasGuest) accounts.push(stack.use(await this.#welcome()).account);
      for (let burst = plan.isFlood ? 0 : 1; burst < MAX_BURSTS && !isStruck; burst++) {
        if (plan.isAhead) encryption.getAhead();
        await (burst % FLOOD_EVERY === 0 ? traffic.flood(plan.random) : traffic.burst(plan.random));
        await Promise.race([struck.promise, this.#untilQuiet()]);
      }
      if (timer !== undefined) await struck.promise;
      if (!isStruck) throw new Error("the moment never came");
      return accounts;
    } finally {
      clearTimeout(timer);
      databaseRelay.disarm();
      relay.disarm();
    }
  }

  #arm({ moment, target }: RoundPlan, strike: () => void): NodeJS.Timeout | undefined {
    const { databaseRelay, relay } = this.#parts;
    if (moment.at === "time") return setTimeout(strike, moment.afterMs);
    if (moment.at === "poll") {
      relay.arm({
        ...moment,
        strike: () => {
          strike();
          return target === "connection" ? "cut" : "go on";
        },
      });
      return undefined;
    }
    const survivor: Target = isOfServing(moment.step) ? "intake" : "serving";
    databaseRelay.arm({
      ...moment,
      strike: () => {
        strike();
        if (target === "connection") return "cut";
        return target === survivor ? "go on" : "freeze";
      },
    });
    return undefined;
  }

  /** A connection is cut by its relay. */
  #strike(target: Target): void {
    const { product, database } = this.#parts;
    if (target === "intake" || target === "both") product.killIntake();
    if (target === "serving" || target === "both") product.killServing();
    if (target === "postmaster" || target === "immediate") database.stop(target);
  }

  async #recover(target: Target): Promise<void> {
    const { product, database } = this.#parts;
    if (target === "postmaster" || target === "immediate") {
      this.#databaseStops += 1;
      await database.startAgain();
    }
    await product.revive();
  }

  /** Only with a database that was stopped the removal of a message may be lost. */
  #checkRepeats(): void {
    const { repeats } = this.#parts.encryption;
    if (repeats > 0 && this.#databaseStops === 0) throw new Error(`${repeats} acknowledged messages came again`);
  }

  /** The device's poll waits for news again. */
  async #untilQuiet(): Promise<void> {
    const { homeserver, login } = this.#parts;
    const limitMs = performance.now() + SETTLE_LIMIT_MS;
    while ((await homeserver.control.heldPolls(login.userId)) === 0 && performance.now() < limitMs)
      await pause(LOOK_MS);
  }

  #welcome(): Promise<Guest> {
    const { homeserver, scene, product, database, relay } = this.#parts;
    this.#guests += 1;
    return welcomeGuest(
      { homeserver, scene, productUrl: product.url, store: { database, relay } },
      `guest${this.#guests}`,
    );
  }
}

/** Until stores and clients say what the homeserver says; rejects with the differences that stay. */
async function settle(accounts: readonly WatchedAccount[]): Promise<void> {
  const truths = await Promise.all(accounts.map(async (account) => ({ account, truth: await account.truth() })));
  const limitMs = performance.now() + SETTLE_LIMIT_MS;
  let [before, changedMs] = ["", performance.now()];
  for (;;) {
    const found = (await Promise.all(truths.map(({ account, truth }) => account.differences(truth)))).flat();
    if (found.length === 0) return;
    const text = found.join("\n");
    if (text !== before) [before, changedMs] = [text, performance.now()];
    if (performance.now() > Math.min(limitMs, changedMs + STALL_LIMIT_MS)) throw new Error(text);
    await pause(LOOK_MS);
  }
}

/** Only a database that was stopped may lose where a client stands: that step is written without waiting for the disk. */
function checkRestarts(accounts: readonly WatchedAccount[], target: Target): void {
  const restarts = accounts.reduce((sum, account) => sum + account.newRestarts(), 0);
  const isAllowed = target === "postmaster" || target === "immediate";
  if (restarts > 0 && !isAllowed) throw new Error(`a client had to start anew ${restarts} times`);
}

interface Parts {
  readonly stack: AsyncDisposableStack;
  readonly homeserver: Homeserver;
  readonly database: StoppableDatabase;
  readonly databaseRelay: DatabaseRelay;
  readonly relay: HomeserverRelay;
  readonly product: KillableProduct;
  readonly login: Comparison["device"];
  readonly scene: Scene;
  readonly traffic: Traffic;
  readonly account: WatchedAccount;
  readonly encryption: EncryptionClient;
}

async function startParts(stack: AsyncDisposableStack): Promise<Parts> {
  const [homeserver, database] = await Promise.all([
    startHomeserver({ rooms: LIVELY_ROOMS, seed: HOMESERVER_SEED }).then((started) => stack.use(started)),
    startStoppableDatabase().then((started) => stack.use(started)),
  ]);
  const relay = stack.use(await startHomeserverRelay(homeserver.url));
  const databaseRelay = stack.use(await startDatabaseRelay(database.socketPath));
  const { userId, deviceId, token } = homeserver.demo();
  const login = { userId, deviceId, token };
  const scene = await makeScene(homeserver, deviceId);
  const { owner } = scene;
  const floors = await readFloors(owner);
  const product = stack.use(
    await startKillableProduct({
      homeserverUrl: relay.url,
      databaseUrl: database.urlAt(databaseRelay.port),
      timelineLimit: TIMELINE_LIMIT,
    }),
  );
  const client = stack.use(startClient(product.url, login));
  const traffic = new Traffic(scene);
  const encryption = stack.use(startEncryptionClient(product.url, token, scene));
  const account = new WatchedAccount({ database, relay, device: login, traffic, encryption }, owner, client, floors);
  return { stack, homeserver, database, databaseRelay, relay, product, login, scene, traffic, account, encryption };
}

function startEncryptionClient(url: string, token: string, { owner, friends }: Scene): EncryptionClient {
  const queryKeys: QueryKeys = async (users) => {
    const body = { device_keys: Object.fromEntries(users.map((user) => [user, []])) };
    const { device_keys: keys } = await owner.call("POST", "/keys/query", body);
    return new Map(Object.entries(keys as object).map(([user, devices]) => [user, JSON.stringify(devices)]));
  };
  const users = friends.map(({ userId }) => userId);
  return new EncryptionClient({ url, token, users, queryKeys, random: createRandom(HOMESERVER_SEED) });
}

async function makeScene(homeserver: Homeserver, deviceId: string): Promise<Scene> {
  const owner = await homeserver.login("demo", "ELSEWHERE");
  const friends = await Promise.all(FRIENDS.map((name) => homeserver.login(name, `${name.toUpperCase()}PHONE`)));
  const rooms = await Promise.all(
    friends.map(async (friend) => {
      const roomId = await friend.createRoom({ preset: "private_chat", name: `With ${friend.userId}` });
      await friend.invite(roomId, owner.userId);
      await owner.join(roomId);
      return { roomId, friend };
    }),
  );
  return { homeserver, owner, deviceId, friends, rooms };
}
