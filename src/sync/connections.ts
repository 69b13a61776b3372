import { LRUCache } from "lru-cache";
import { decodeDelta, decodeState, encodeDelta, encodeState, isEmptyDelta } from "../engine/connection/delta.ts";
import { MutableConnectionState } from "../engine/connection/mutable-state.ts";
import type { ConnectionDelta, ConnectionState } from "../engine/connection/state.ts";
import { ByteCache } from "../lib/byte-cache.ts";
import { type Clock, microseconds } from "../lib/clock.ts";
import {
  type ConnectionKey,
  confirmAndInsert,
  confirmPosition,
  insertChild,
  insertConnection,
  MAX_CHILDREN,
  type NewChild,
  rebaseConnection,
  selectConnection,
  textOfKey,
} from "../store/connections.ts";
import type { Queryable } from "../store/database.ts";

/** Confirmed deltas are folded into a new base when they weigh more than the base and this. */
const MIN_REBASE_BYTES = 8 * 1024;

/** Memory for connection states; what falls out is read again. */
const CACHE_BYTES = 128 * 1024 * 1024;

/** What a state weighs in memory: at least this, and a multiple of what it weighs encoded. Estimates that err upwards. */
const STATE_OVERHEAD_BYTES = 2_000;
const BYTES_PER_ENCODED_BYTE = 8;

/**
 * How long a position that this process confirmed is taken to be the confirmed one. Longer: one that another process left behind
 * meanwhile is honoured for longer, until there is something to store. Shorter: long polls ask the database more often.
 */
const CONFIRMED_MS = 60_000;

/** Confirmations remembered. */
const MAX_CONFIRMED = 50_000;

/** An open connection at a position that its client has. */
export interface OpenConnection {
  /** 0: nothing of it is stored yet. */
  readonly connection: number;
  readonly position: number;
  readonly state: ConnectionState;
  /** The confirmed position as the database knows it, which storing the answer replaces; undefined: it is this one. */
  readonly confirmedBefore?: number;
}

/** Where a connection stands for its client. */
type Standing = Pick<OpenConnection, "connection" | "position">;

interface Confirmation extends Standing {
  readonly atMs: number;
}

/**
 * What connections were told, in Postgres, with a copy in memory of those in use. The stored rows decide: a copy that is
 * neither at the confirmed position nor one answer of this process ahead is read anew, and nothing is told that goes on from
 * another one. A client that goes on from where it stood a moment ago needs no word of theirs.
 */
export class Connections {
  readonly #db: Queryable;
  readonly #clock: Clock;
  readonly #kept = new ByteCache<number, KeptConnection>({ maxBytes: CACHE_BYTES });
  /** The last one of each key: a connection that another one of the same key displaced is not in use any more. */
  readonly #confirmed = new LRUCache<string, Confirmation>({ max: MAX_CONFIRMED });
  #lastNumber = 0;

  constructor(db: Queryable, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** A connection that was told nothing yet. */
  start(): OpenConnection {
    return { connection: 0, position: 0, state: new MutableConnectionState() };
  }

  /**
   * The connection at the position that a client presents; undefined: it cannot be honoured. Where this process told the client
   * what it stands for, that is confirmed together with what the answer stores: see {@link save}.
   */
  async open(key: ConnectionKey, connection: number, position: number): Promise<OpenConnection | undefined> {
    if (connection === 0) return this.start();
    const known = this.#kept.get(connection);
    if (known?.position === position && this.#isConfirmed(key, connection, position))
      return { connection, position, state: known.state };
    const confirmedBefore = known?.stepTo(position);
    if (known !== undefined && confirmedBefore !== undefined && !isDueForRebase(known))
      return { connection, position, state: known.state, confirmedBefore };
    return await this.#confirm(key, connection, position);
  }

  /**
   * Stores what an answer told, and that its client has what it goes on from. Returns where the connection stands for its client;
   * undefined: the connection moved on meanwhile, and this answer can lead nowhere. An empty delta after a confirmed position
   * writes nothing.
   */
  async save(key: ConnectionKey, open: OpenConnection, delta: ConnectionDelta): Promise<Standing | undefined> {
    const { connection } = open;
    if (isEmptyDelta(delta)) {
      const isThere = open.confirmedBefore === undefined || (await this.#confirm(key, connection, open.position));
      return isThere ? { connection, position: open.position } : undefined;
    }
    const encoded = encodeDelta(delta);
    if (connection === 0) return await this.#saveRoot(key, delta, encoded);
    const position = this.#next(open.position);
    const isSaved = await this.#append(key, open, { parent: open.position, position, delta: encoded });
    if (!isSaved) {
      this.#confirmed.delete(textOfKey(key));
      return undefined;
    }
    this.#kept.peek(connection)?.addChild(open.position, position, { delta, bytes: encoded.length });
    this.#kept.reweigh(connection);
    return { connection, position };
  }

  async #append(
    key: ConnectionKey,
    { connection, confirmedBefore }: OpenConnection,
    child: NewChild,
  ): Promise<boolean> {
    if (confirmedBefore !== undefined) {
      const atMs = this.#clock.nowMs();
      if (await confirmAndInsert(this.#db, connection, { before: confirmedBefore, ...child })) {
        this.#setConfirmed(key, { connection, position: child.parent, atMs });
        return true;
      }
      // Another request may have confirmed the same position just now.
      if ((await this.#confirm(key, connection, child.parent)) === undefined) return false;
    }
    return await insertChild(this.#db, connection, child);
  }

  async #confirm(key: ConnectionKey, connection: number, position: number): Promise<OpenConnection | undefined> {
    const atMs = this.#clock.nowMs();
    const before = await confirmPosition(this.#db, key, connection, position);
    if (before === undefined) {
      this.#kept.delete(connection);
      return undefined;
    }
    const known = this.#kept.get(connection);
    const kept = known?.advance(before, position) ? known : await this.#read(connection, position);
    if (kept === undefined) return undefined;
    this.#setConfirmed(key, { connection, position, atMs });
    if (isDueForRebase(kept)) await this.#rebase(connection, kept);
    this.#kept.reweigh(connection);
    return { connection, position, state: kept.state };
  }

  #setConfirmed(key: ConnectionKey, confirmation: Confirmation): void {
    this.#confirmed.set(textOfKey(key), confirmation);
    this.#kept.peek(confirmation.connection)?.confirm(confirmation.position);
  }

  #isConfirmed(key: ConnectionKey, connection: number, position: number): boolean {
    const last = this.#confirmed.get(textOfKey(key));
    const isSame = last?.connection === connection && last.position === position;
    return isSame && this.#clock.nowMs() - last.atMs < CONFIRMED_MS;
  }

  async #saveRoot(key: ConnectionKey, delta: ConnectionDelta, encoded: Buffer): Promise<Standing> {
    const state = new MutableConnectionState();
    const base = encodeState(state);
    for (;;) {
      const connection = this.#next(0);
      const position = this.#next(connection);
      const isSaved = await insertConnection(this.#db, key, { connection, base, position, delta: encoded });
      // Another process drew the same number in the same microsecond.
      if (!isSaved) continue;
      const kept = new KeptConnection(state, 0, { baseBytes: base.length, deltaBytes: 0 });
      kept.addChild(0, position, { delta, bytes: encoded.length });
      this.#kept.set(connection, kept);
      return { connection, position };
    }
  }

  async #read(connection: number, position: number): Promise<KeptConnection | undefined> {
    const stored = await selectConnection(this.#db, connection, position);
    if (stored === undefined) return undefined;
    const state = decodeState(stored.base);
    for (const delta of stored.deltas) state.apply(decodeDelta(delta));
    const deltaBytes = stored.deltas.reduce((sum, { length }) => sum + length, 0);
    const kept = new KeptConnection(state, position, { baseBytes: stored.base.length, deltaBytes });
    this.#kept.set(connection, kept);
    return kept;
  }

  async #rebase(connection: number, kept: KeptConnection): Promise<void> {
    const state = encodeState(kept.state);
    await rebaseConnection(this.#db, connection, { position: kept.position, state });
    kept.baseBytes = state.length;
    kept.deltaBytes = 0;
  }

  /** Connection numbers and positions are never issued twice, not even after a restore: they are at least the clock. */
  #next(after: number): number {
    this.#lastNumber = Math.max(this.#lastNumber + 1, after + 1, microseconds(this.#clock));
    return this.#lastNumber;
  }
}

const isDueForRebase = ({ deltaBytes, baseBytes }: KeptConnection): boolean =>
  deltaBytes > Math.max(MIN_REBASE_BYTES, baseBytes);

interface Child {
  readonly delta: ConnectionDelta;
  readonly bytes: number;
}

/** A copy of a connection at a position that its client has, with the answers that this process computed from there. */
class KeptConnection {
  readonly state: MutableConnectionState;
  baseBytes: number;
  deltaBytes: number;
  #position: number;
  /** The confirmed position as the database knows it, where that is another one. */
  #confirmedBefore: number | undefined;
  #children = new Map<number, Child>();

  constructor(
    state: MutableConnectionState,
    position: number,
    weight: { readonly baseBytes: number; readonly deltaBytes: number },
  ) {
    this.state = state;
    this.#position = position;
    this.baseBytes = weight.baseBytes;
    this.deltaBytes = weight.deltaBytes;
  }

  get position(): number {
    return this.#position;
  }

  /** Estimated memory. */
  get bytes(): number {
    let encoded = this.baseBytes + this.deltaBytes;
    for (const { bytes } of this.#children.values()) encoded += bytes;
    return STATE_OVERHEAD_BYTES + BYTES_PER_ENCODED_BYTE * encoded;
  }

  /** As many are remembered as are stored. */
  addChild(parent: number, position: number, child: Child): void {
    if (parent !== this.#position) return;
    this.#children.set(position, child);
    const [oldest] = this.#children.keys();
    if (this.#children.size > MAX_CHILDREN && oldest !== undefined) this.#children.delete(oldest);
  }

  /**
   * Brings the copy to a position that this process told, before the database knows that the client has it. Returns what is confirmed
   * until then; undefined: the copy does not know the way, or the position is to be confirmed by itself, as the first of a
   * connection, which ends others.
   */
  stepTo(position: number): number | undefined {
    if (this.#position === position) return this.#confirmedBefore;
    const before = this.#position;
    if (before === 0 || this.#confirmedBefore !== undefined || !this.advance(before, position)) return undefined;
    this.#confirmedBefore = before;
    return before;
  }

  /** The database knows that the client has this position. */
  confirm(position: number): void {
    if (this.#position === position) this.#confirmedBefore = undefined;
  }

  /** Brings the copy from the position that was confirmed before to the new one. False: it does not know the way. */
  advance(before: number, position: number): boolean {
    if (this.#position === position) return true;
    const child = this.#position === before ? this.#children.get(position) : undefined;
    if (child === undefined) return false;
    this.state.apply(child.delta);
    this.#position = position;
    this.#children = new Map();
    this.deltaBytes += child.bytes;
    return true;
  }
}
