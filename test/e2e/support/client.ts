// A robot around matrix-js-sdk: a headless client over sliding sync whose helpers wait for conditions by the SDK's own events.
import { EventEmitter } from "node:events";
import {
  ClientEvent,
  createClient,
  type IStateEvent,
  type MatrixClient,
  type MatrixEvent,
  MatrixEventEvent,
  PendingEventOrdering,
  type Room,
  RoomEvent,
  RoomMemberEvent,
  RoomStateEvent,
  ThreadEvent,
} from "matrix-js-sdk";
import { CryptoEvent } from "matrix-js-sdk/lib/crypto-api/index.js";
import { logger as globalLogger, type Logger } from "matrix-js-sdk/lib/logger.js";
import {
  type MSC3575List,
  type MSC3575RoomSubscription,
  type MSC3575SlidingSyncResponse,
  SlidingSync,
  SlidingSyncEvent,
  SlidingSyncState,
} from "matrix-js-sdk/lib/sliding-sync.js";
import { keepCryptoStores } from "./crypto-stores.ts";

/** How long a request may be held. Larger makes a lost wake-up harder to tell from a slow machine. */
const POLL_TIMEOUT_MS = 10_000;
/** A condition that takes longer than this does not come. The SDK itself waits 5 s after a request that failed. */
const CONDITION_WITHIN_MS = 45_000;
/** Rooms by which the window grows after each answer. */
const WINDOW_STEP = 20;

/** What a real app needs of every room to show it in a list. */
const REQUIRED_STATE = [
  ["m.room.create", ""],
  ["m.room.name", ""],
  ["m.room.avatar", ""],
  ["m.room.topic", ""],
  ["m.room.canonical_alias", ""],
  ["m.room.join_rules", ""],
  ["m.room.tombstone", ""],
  ["m.room.encryption", ""],
  ["m.space.child", "*"],
  ["m.space.parent", "*"],
  ["m.room.member", "$ME"],
  ["m.room.member", "$LAZY"],
];

export type ClientOptions = {
  baseUrl: string;
  user: string;
  password: string;
  /** End-to-end encryption, kept in memory; a client that {@link resumes} finds it again. */
  crypto?: boolean;
  /** A client that was stopped: this one is the same device, as an app that is started again. */
  resumes?: Pick<Robot, "userId" | "deviceId" | "accessToken">;
  /** Timeline events of a room in one answer. More: what is missed by a longer absence leaves no gap. */
  timelineLimit?: number;
  /** Threads apart from the room's timeline. */
  threads?: boolean;
};

/** One request of the sync loop as it went over the wire, in the order of sending. */
export type SyncExchange = {
  readonly pos: string | undefined;
  /** `undefined` while the answer is awaited, `failed` when the connection broke or the client gave up. */
  outcome: number | "failed" | undefined;
  errcode: string | undefined;
  nextPos: string | undefined;
  /** How many rooms the answer counts in the list. */
  count: number | undefined;
  /** How many to-device messages the answer brings. */
  toDevice: number;
  /** Users of whom the answer says that their devices changed. */
  changedDevices: readonly string[];
};

/** A room's timeline as one answer that the client accepted brought it. */
export type Delivery = { readonly roomId: string; readonly initial: boolean; readonly eventIds: readonly string[] };

export type Robot = {
  readonly userId: string;
  readonly deviceId: string;
  readonly accessToken: string;
  readonly sdk: MatrixClient;
  readonly exchanges: readonly SyncExchange[];
  readonly deliveries: readonly Delivery[];
  /** Resolves when `holds()` is true; looks again whenever the client learns something, and when {@link look} is called. */
  until(holds: () => boolean | Promise<boolean>, what: string): Promise<void>;
  look(): void;
  rooms(): Room[];
  room(roomId: string): Room | undefined;
  /** Ids of the events in the room's live timeline, oldest first. What the server has not sent back is not among them. */
  timelineIds(roomId: string): string[];
  state(roomId: string, type: string, stateKey?: string): IStateEvent["content"] | undefined;
  membership(roomId: string): string | undefined;
  /** Rooms that the user is invited to. */
  invites(): string[];
  /** Subscribes to exactly these rooms, with a timeline of 50. */
  subscribe(...roomIds: string[]): void;
  stop(): Promise<void>;
  /** Ends the client as a kill does: it has received the first such answer, and looked neither at it nor at anything later. */
  killAt(isLast: (answer: SyncExchange) => boolean): Promise<void>;
};

/** Logs in, starts syncing, and resolves after the first answer. */
export async function startClient(options: ClientOptions): Promise<Robot & AsyncDisposable> {
  silenceSdk();
  const wire = recordingWire();
  const device = options.resumes ?? (await logIn(options, wire));
  const { userId, deviceId, accessToken } = device;
  const sdk = createClient({
    baseUrl: options.baseUrl,
    accessToken,
    userId,
    deviceId,
    fetchFn: wire.fetch,
    logger,
  });
  if (options.crypto === true) await startCrypto(sdk, `${userId} ${deviceId}`);
  const { timelineLimit } = options;
  const subscription: MSC3575RoomSubscription = { timeline_limit: timelineLimit ?? 50, required_state: REQUIRED_STATE };
  const lists = new Map([
    ["all", { ranges: [[0, WINDOW_STEP - 1]], timeline_limit: timelineLimit ?? 20, required_state: REQUIRED_STATE }],
  ]);
  const slidingSync = new SlidingSync(options.baseUrl, lists, subscription, sdk, POLL_TIMEOUT_MS);
  const robot = robotOf(sdk, slidingSync, wire, device);
  try {
    // Apps keep what is not yet confirmed apart from the timeline; then the order in the timeline is the server's.
    const pendingEventOrdering = PendingEventOrdering.Detached;
    await sdk.startClient({
      slidingSync,
      pendingEventOrdering,
      threadSupport: options.threads ?? false,
      // Who encrypts asks for all members first.
      lazyLoadMembers: options.crypto ?? false,
    });
    await robot.until(() => sdk.isInitialSyncComplete(), "the first answer");
  } catch (error) {
    await robot.stop();
    throw error;
  }
  return robot;
}

async function logIn({ baseUrl, user, password }: ClientOptions, wire: Wire): Promise<Device> {
  const login = await createClient({ baseUrl, fetchFn: wire.fetch, logger }).loginRequest({
    type: "m.login.password",
    identifier: { type: "m.id.user", user },
    password,
  });
  return { userId: login.user_id, deviceId: login.device_id, accessToken: login.access_token };
}

async function startCrypto(sdk: MatrixClient, storeName: string): Promise<void> {
  keepCryptoStores();
  await sdk.initRustCrypto({ cryptoDatabasePrefix: storeName });
  // As apps do with an open room; of others the SDK itself decrypts what it shows in the list.
  sdk.on(ClientEvent.Event, (event) => void sdk.decryptEventIfNeeded(event));
  sdk.on(RoomEvent.Timeline, (event, _room, isOlder) => {
    if (isOlder === true) void sdk.decryptEventIfNeeded(event);
  });
}

/**
 * The SDK logs every request, partly to a global logger. That one belongs to the loglevel package, though its types do not say so; the
 * children that it makes from then on log by the same methods.
 */
function silenceSdk(): void {
  const root = globalLogger as unknown as { methodFactory: () => () => void; rebuild(): void };
  root.methodFactory = () => noop;
  root.rebuild();
  // Some modules keep methods from before; of these they call only the one for debugging.
  console.debug = noop;
}

const logger: Logger = { trace: noop, debug: noop, info: noop, warn: noop, error: noop, getChild: () => logger };

function noop(): void {}

type Device = Pick<Robot, "userId" | "deviceId" | "accessToken">;

function robotOf(sdk: MatrixClient, slidingSync: SlidingSync, wire: Wire, device: Device): Robot & AsyncDisposable {
  const deliveries: Delivery[] = [];
  const news = new EventEmitter().setMaxListeners(0);
  const tell = () => news.emit("news");
  for (const event of NEWS) sdk.on(event, tell);
  sdk.on(ClientEvent.Room, (room) => {
    for (const event of THREAD_NEWS) room.on(event, tell);
  });
  wire.onExchange(tell);
  slidingSync.on(SlidingSyncEvent.Lifecycle, (state, response) => {
    if (response === null) return;
    if (state === SlidingSyncState.RequestFinished) deliveries.push(...deliveriesOf(response));
    if (state === SlidingSyncState.Complete) {
      growWindow(slidingSync);
      // What relates to an event is added to it a little later than the answer is complete.
      setImmediate(tell);
    }
  });
  const room = (roomId: string): Room | undefined => sdk.getRoom(roomId) ?? undefined;
  const stop = async () => {
    sdk.stopClient();
    await wire.close();
  };
  const robot: Robot & AsyncDisposable = {
    ...device,
    sdk,
    exchanges: wire.exchanges,
    deliveries,
    until: (holds, what) =>
      untilHolds(news, holds, () => `${device.userId} waits for: ${what}\n${describe(sdk, wire)}`),
    look: tell,
    rooms: () => sdk.getRooms(),
    room,
    timelineIds: (roomId) => (room(roomId)?.getLiveTimeline().getEvents() ?? []).map(idOf),
    state: (roomId, type, stateKey = "") => room(roomId)?.currentState.getStateEvents(type, stateKey)?.getContent(),
    membership: (roomId) => room(roomId)?.getMyMembership(),
    invites: () => sdk.getRooms().flatMap((r) => (r.getMyMembership() === "invite" ? [r.roomId] : [])),
    subscribe: (...roomIds) => slidingSync.modifyRoomSubscriptions(new Set(roomIds)),
    stop,
    killAt: async (isLast) => {
      await wire.closedAt(isLast);
      await stop();
    },
    [Symbol.asyncDispose]: stop,
  };
  return robot;
}

const idOf = (event: MatrixEvent): string => event.getId() ?? "";

/** Everything by which an answer, or a local echo, shows in the client. */
const NEWS = [
  ClientEvent.Sync,
  ClientEvent.Event,
  ClientEvent.Room,
  ClientEvent.AccountData,
  RoomEvent.Timeline,
  RoomEvent.MyMembership,
  RoomEvent.Name,
  RoomEvent.Receipt,
  RoomEvent.Tags,
  RoomEvent.LocalEchoUpdated,
  RoomStateEvent.Events,
  RoomMemberEvent.Membership,
  RoomMemberEvent.Typing,
  MatrixEventEvent.Decrypted,
  CryptoEvent.DevicesUpdated,
  CryptoEvent.KeysChanged,
  CryptoEvent.UserTrustStatusChanged,
  CryptoEvent.VerificationRequestReceived,
] as const;

/** Threads are fetched from the homeserver after the answer that tells of them, and show in their rooms alone. */
const THREAD_NEWS = [ThreadEvent.New, ThreadEvent.NewReply, ThreadEvent.Update, ThreadEvent.Delete] as const;

/** The list grows until it covers every room, as apps do; called between two requests, so that nothing is cancelled. */
function growWindow(slidingSync: SlidingSync): void {
  const list: MSC3575List | null = slidingSync.getListParams("all");
  const count = slidingSync.getListData("all")?.joinedCount ?? 0;
  const end = list?.ranges?.[0]?.[1] ?? 0;
  if (end < count - 1) slidingSync.setListRanges("all", [[0, Math.min(end + WINDOW_STEP, count - 1)]]);
}

function deliveriesOf(response: MSC3575SlidingSyncResponse): Delivery[] {
  return Object.entries(response.rooms).map(([roomId, room]) => ({
    roomId,
    initial: room.initial === true,
    eventIds: (room.timeline ?? []).flatMap((event) => ("event_id" in event ? [event.event_id] : [])),
  }));
}

function untilHolds(news: EventEmitter, holds: () => boolean | Promise<boolean>, explain: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      news.off("news", look);
      settle();
    };
    const look = () => {
      try {
        const held = holds();
        if (held === true) finish(resolve);
        else if (held !== false)
          held.then(
            (isSo) => isSo && finish(resolve),
            (error) => finish(() => reject(error)),
          );
      } catch (error) {
        finish(() => reject(error));
      }
    };
    const late = () => finish(() => reject(new Error(`not within ${CONDITION_WITHIN_MS} ms: ${explain()}`)));
    const timer = setTimeout(late, CONDITION_WITHIN_MS);
    news.on("news", look);
    look();
  });
}

function describe(sdk: MatrixClient, wire: Wire): string {
  const rooms = sdk.getRooms().map((room) => {
    const events = room.getLiveTimeline().getEvents();
    return `  ${room.roomId} ${room.name} (${room.getMyMembership()}), ${events.length} events`;
  });
  const exchanges = wire.exchanges.slice(-5).map((exchange) => `  ${JSON.stringify(exchange)}`);
  return ["rooms:", ...rooms, "last requests:", ...exchanges].join("\n");
}

type Wire = {
  fetch: typeof globalThis.fetch;
  exchanges: SyncExchange[];
  onExchange(listener: (exchange: SyncExchange) => void): void;
  /** Lets nothing through from the first such answer on, and resolves when it is there. */
  closedAt(isLast: (answer: SyncExchange) => boolean): Promise<void>;
  /** Ends what is under way, and waits for its end. */
  close(): Promise<void>;
};

/**
 * What a request gets once the wire is closed. The SDK would repeat one that fails for hours, and catches no error of those that
 * it sends because of an event.
 */
const NO_ANSWER = new Promise<never>(noop);

function recordingWire(): Wire {
  const exchanges: SyncExchange[] = [];
  const listeners: ((exchange: SyncExchange) => void)[] = [];
  const underWay = new Set<Promise<unknown>>();
  const closing = new AbortController();
  const send: typeof globalThis.fetch = async (input, init) => {
    if (closing.signal.aborted) return NO_ANSWER;
    const signal = init?.signal ? AbortSignal.any([init.signal, closing.signal]) : closing.signal;
    const request = fetch(input, { ...init, signal });
    const url = new URL(input instanceof Request ? input.url : input);
    const isSync = url.pathname.endsWith("/org.matrix.simplified_msc3575/sync");
    const answer = isSync ? recorded(url, request, exchanges, listeners) : wholly(request);
    const settled = answer.then(noop, noop);
    underWay.add(settled);
    await settled;
    underWay.delete(settled);
    return closing.signal.aborted ? NO_ANSWER : answer;
  };
  return {
    fetch: send,
    exchanges,
    onExchange: (listener) => listeners.push(listener),
    closedAt: (isLast) =>
      new Promise((resolve) => {
        listeners.push((exchange) => {
          if (closing.signal.aborted || exchange.outcome !== 200 || !isLast(exchange)) return;
          closing.abort();
          resolve();
        });
      }),
    close: async () => {
      closing.abort();
      await Promise.all(underWay);
    },
  };
}

/** The answer once its body is here. */
async function wholly(answer: Promise<Response>): Promise<Response> {
  const begun = await answer;
  return new Response(await begun.arrayBuffer(), begun);
}

type SyncBody = {
  errcode?: string;
  pos?: string;
  lists?: { all?: { count: number } };
  extensions?: {
    to_device?: { events: readonly unknown[] };
    e2ee?: { device_lists?: { changed?: readonly string[] } };
  };
};

async function recorded(
  url: URL,
  request: Promise<Response>,
  exchanges: SyncExchange[],
  listeners: readonly ((exchange: SyncExchange) => void)[],
): Promise<Response> {
  const pos = url.searchParams.get("pos") ?? undefined;
  const exchange: SyncExchange = {
    pos,
    outcome: undefined,
    errcode: undefined,
    nextPos: undefined,
    count: undefined,
    toDevice: 0,
    changedDevices: [],
  };
  exchanges.push(exchange);
  try {
    const answer = await request;
    const body: SyncBody = JSON.parse(await answer.clone().text());
    exchange.errcode = body.errcode;
    exchange.nextPos = body.pos;
    exchange.count = body.lists?.all?.count;
    exchange.toDevice = body.extensions?.to_device?.events.length ?? 0;
    exchange.changedDevices = body.extensions?.e2ee?.device_lists?.changed ?? [];
    exchange.outcome = answer.status;
    return answer;
  } catch (error) {
    exchange.outcome = "failed";
    throw error;
  } finally {
    for (const listener of listeners) listener(exchange);
  }
}
