// The scripted homeserver in the test's own process: its routes are called without HTTP, and everything happens at once.
import { Readable } from "node:stream";
import type { Agent } from "undici";
import { type RoomReads, roomReads } from "../../../src/homeserver/room-reads.ts";
import { pollSyncV2 } from "../../../src/homeserver/sync-v2.ts";
import { type ValueReads, valueReads } from "../../../src/homeserver/value-reads.ts";
import { addUser, logIn, type Session } from "../homeserver/accounts.ts";
import { createClock } from "../homeserver/clock.ts";
import { type AuthedCall, json, type Reply } from "../homeserver/http/reply.ts";
import { Router } from "../homeserver/http/router.ts";
import { createIds } from "../homeserver/ids.ts";
import type { JsonObject } from "../homeserver/json.ts";
import { MatrixError } from "../homeserver/matrix-error.ts";
import { createPolls } from "../homeserver/polls.ts";
import { synapse } from "../homeserver/profiles/synapse.ts";
import { createRandom } from "../homeserver/random.ts";
import { addHistoryRoutes } from "../homeserver/routes/history.ts";
import { addMembershipRoutes } from "../homeserver/routes/membership.ts";
import { addPushRuleRoutes } from "../homeserver/routes/push-rules.ts";
import { addReadRoutes } from "../homeserver/routes/read.ts";
import { addSendRoutes } from "../homeserver/routes/send.ts";
import { addSyncRoute } from "../homeserver/routes/sync.ts";
import { addUserDataRoutes } from "../homeserver/routes/user-data.ts";
import { createLazyMemberCaches } from "../homeserver/sync/lazy-members.ts";
import { createSyncResponder } from "../homeserver/sync/respond.ts";
import { createWakeUp } from "../homeserver/wake.ts";
import { World } from "../homeserver/world.ts";

const BASE = { origin: "http://homeserver.test", prefix: "" };
const LIMIT_MS = 60_000;
const LIMITS = { beyondTimeoutMs: LIMIT_MS, initialMs: LIMIT_MS, idleMs: LIMIT_MS, bodyMs: LIMIT_MS };
const FORWARDED = { xForwardedFor: undefined, userAgent: undefined };

export class ModelHomeserver {
  readonly world: World;
  readonly values: ValueReads;
  readonly rooms: RoomReads;
  readonly #router = new Router();
  readonly #agent: Agent;
  readonly #stop = new AbortController();

  /** Ids of events and rooms follow from the seed. */
  constructor(seed: number, hasStateAfter: boolean) {
    const clock = createClock();
    const ids = createIds(createRandom(seed));
    this.world = new World({ serverName: "test", profile: synapse, clock, ids, wakeUp: createWakeUp() });
    Object.assign(this.world.settings, { responseCache: false, msc4222: hasStateAfter });
    const { world } = this;
    const responder = createSyncResponder(
      { world, lazyMembers: createLazyMemberCaches(clock, synapse) },
      this.#stop.signal,
    );
    addSyncRoute(this.#router, { world, responder, polls: createPolls() });
    for (const add of [
      addHistoryRoutes,
      addMembershipRoutes,
      addSendRoutes,
      addReadRoutes,
      addUserDataRoutes,
      addPushRuleRoutes,
    ]) {
      add(this.#router, world);
    }
    this.#agent = { request: (request: AgentRequest) => this.#request(request) } as unknown as Agent;
    this.rooms = roomReads(this.#agent, BASE, LIMIT_MS);
    this.values = valueReads(this.#agent, BASE, LIMIT_MS, this.rooms);
  }

  logIn(localpart: string, deviceId: string): Session {
    const { world } = this;
    const user = world.users.get(`@${localpart}:test`) ?? addUser(world, localpart, "secret");
    return logIn(world, user, deviceId);
  }

  /** What a poll that is sent now brings, as it is asked for by the product. */
  async poll(token: string, since: string | undefined, filter: string): Promise<Buffer> {
    const poll = { token, since, timeoutMs: 0, filter, forwarded: FORWARDED, signal: this.#stop.signal };
    const pieces: Buffer[] = [];
    for await (const piece of await pollSyncV2(this.#agent, BASE, poll, LIMITS)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** A request of a user's client; what the homeserver refuses changes nothing. Returns the answer's body. */
  async does(token: string, method: string, path: string, body: JsonObject = {}): Promise<JsonObject> {
    const url = new URL(`${BASE.origin}/_matrix/client/v3${path}`);
    return JSON.parse([...(await this.#answer(token, method, url, body)).body].join("")) as JsonObject;
  }

  async #request({ path, method, headers }: AgentRequest) {
    const [, token = ""] = /^Bearer (.+)$/.exec(headers.authorization ?? "") ?? [];
    const reply = await this.#answer(token, method, new URL(`${BASE.origin}${path}`), {});
    const body = Readable.from([Buffer.from([...reply.body].join(""))]);
    return { statusCode: reply.status, headers: { "content-type": reply.contentType }, body };
  }

  async #answer(token: string, method: string, url: URL, body: JsonObject): Promise<Reply> {
    const route = this.#router.find(method, url.pathname);
    const device = this.world.access.get(token)?.device;
    if (route?.needsToken !== true || device === undefined) throw new Error(`no route ${method} ${url.pathname}`);
    const call: AuthedCall = {
      method,
      path: url.pathname,
      query: url.searchParams,
      params: route.params,
      body,
      headers: {},
      signal: this.#stop.signal,
      effects: [],
      device,
      token,
    };
    try {
      return await route.answer(call);
    } catch (error) {
      if (error instanceof MatrixError) return json(error.body, error.status);
      throw error;
    }
  }
}

interface AgentRequest {
  readonly path: string;
  readonly method: string;
  readonly headers: { readonly authorization?: string };
}
