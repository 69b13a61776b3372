import { LRUCache } from "lru-cache";
import { decodeDelta, decodeState, encodeDelta, encodeState, isEmptyDelta } from "../engine/connection/delta.ts";
import { MutableConnectionState } from "../engine/connection/mutable-state.ts";
import type { ConnectionDelta, ConnectionState } from "../engine/connection/state.ts";
import { type Clock, microseconds } from "../lib/clock.ts";
import {
  type ConnectionKey,
  confirmPosition,
  insertChild,
  insertConnection,
  rebaseConnection,
  selectConnection,
} from "../store/connections.ts";
import type { Database } from "../store/database.ts";

/** Confirmed deltas are folded into a new base when they weigh more than the base and this. */
const MIN_REBASE_BYTES = 8 * 1024;

/** Memory for connection states; what falls out is read again. */
const CACHE_BYTES = 128 * 1024 * 1024;

/** An open connection at a confirmed position. */
export interface OpenConnection {
  /** 0: nothing of it is stored yet. */
  readonly connection: number;
  readonly position: number;
  readonly state: ConnectionState;
}

interface Kept {
  readonly state: MutableConnectionState;
  position: number;
  /** Answers computed from `position` by this process, by their position. */
  children: Map<number, ConnectionDelta>;
  baseBytes: number;
  deltaBytes: number;
}

/**
 * What connections were told, in Postgres, with a copy in memory of those in use. The stored rows decide: a copy that is
 * not at the confirmed position is read anew.
 */
export class Connections {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #kept = new LRUCache<number, Kept>({
    maxSize: CACHE_BYTES,
    sizeCalculation: ({ baseBytes, deltaBytes }) => 2_000 + 8 * (baseBytes + deltaBytes),
  });
  #lastNumber = 0;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** A connection that was told nothing yet. */
  start(): OpenConnection {
    return { connection: 0, position: 0, state: new MutableConnectionState() };
  }

  /** Confirms the position that a client presents; undefined: it cannot be honoured. */
  async open(key: ConnectionKey, connection: number, position: number): Promise<OpenConnection | undefined> {
    if (connection === 0) return this.start();
    const before = await confirmPosition(this.#db, key, connection, position);
    if (before === undefined) return undefined;
    const kept = this.#advance(connection, before, position) ?? (await this.#read(connection, position));
    if (kept === undefined) return undefined;
    if (kept.deltaBytes > Math.max(MIN_REBASE_BYTES, kept.baseBytes)) await this.#rebase(connection, kept);
    return { connection, position, state: kept.state };
  }

  /**
   * Stores what an answer told. Returns where the connection stands for its client; undefined: the connection moved on
   * meanwhile, and this answer can lead nowhere. An empty delta writes nothing.
   */
  async save(
    key: ConnectionKey,
    open: OpenConnection,
    delta: ConnectionDelta,
  ): Promise<{ readonly connection: number; readonly position: number } | undefined> {
    if (isEmptyDelta(delta)) return { connection: open.connection, position: open.position };
    const encoded = encodeDelta(delta);
    if (open.connection === 0) return await this.#saveRoot(key, delta, encoded);
    const position = this.#next(open.position);
    const child = { parent: open.position, position, delta: encoded };
    const isSaved = await insertChild(this.#db, open.connection, child);
    if (!isSaved) return undefined;
    const kept = this.#kept.get(open.connection);
    if (kept?.position === open.position) kept.children.set(position, delta);
    return { connection: open.connection, position };
  }

  async #saveRoot(
    key: ConnectionKey,
    delta: ConnectionDelta,
    encoded: Buffer,
  ): Promise<{ connection: number; position: number }> {
    const state = new MutableConnectionState();
    const base = encodeState(state);
    const connection = this.#next(0);
    const position = this.#next(connection);
    await this.#db.transaction((tx) => insertConnection(tx, key, { connection, base, position, delta: encoded }), {
      lane: "read",
      durable: false,
    });
    const children = new Map([[position, delta]]);
    this.#kept.set(connection, { state, position: 0, children, baseBytes: base.length, deltaBytes: encoded.length });
    return { connection, position };
  }

  /** The copy in memory, brought to the confirmed position; undefined: it is not there, or stands elsewhere. */
  #advance(connection: number, before: number, position: number): Kept | undefined {
    const kept = this.#kept.get(connection);
    if (kept?.position === position) return kept;
    const delta = kept?.position === before ? kept.children.get(position) : undefined;
    if (kept === undefined || delta === undefined) return undefined;
    kept.state.apply(delta);
    kept.position = position;
    kept.children = new Map();
    kept.deltaBytes += encodeDelta(delta).length;
    this.#kept.set(connection, kept);
    return kept;
  }

  async #read(connection: number, position: number): Promise<Kept | undefined> {
    const stored = await selectConnection(this.#db, connection, position);
    if (stored === undefined) return undefined;
    const state = decodeState(stored.base);
    for (const delta of stored.deltas) state.apply(decodeDelta(delta));
    const deltaBytes = stored.deltas.reduce((sum, { length }) => sum + length, 0);
    const kept: Kept = { state, position, children: new Map(), baseBytes: stored.base.length, deltaBytes };
    this.#kept.set(connection, kept);
    return kept;
  }

  async #rebase(connection: number, kept: Kept): Promise<void> {
    const state = encodeState(kept.state);
    await this.#db.transaction((tx) => rebaseConnection(tx, connection, { position: kept.position, state }), {
      lane: "read",
      durable: false,
    });
    kept.baseBytes = state.length;
    kept.deltaBytes = 0;
    this.#kept.set(connection, kept);
  }

  /** Connection numbers and positions are never issued twice, not even after a restore: they are at least the clock. */
  #next(after: number): number {
    this.#lastNumber = Math.max(this.#lastNumber + 1, after + 1, microseconds(this.#clock));
    return this.#lastNumber;
  }
}
