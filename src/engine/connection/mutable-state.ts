import type { RoomId, RoomNid, UserId } from "../../model/ids.ts";
import type { RoomConfig } from "../request.ts";
import { configKey } from "./config-codec.ts";
import type { ConnectionDelta, ConnectionState, SentAs, Told } from "./state.ts";
import {
  isNothingTold,
  NO_STREAM_TOLD,
  ROOM_STREAMS,
  type StreamsTold,
  type StreamUpTo,
  sharedStreams,
} from "./streams.ts";
import { isToldOf } from "./told.ts";

/**
 * Equal configs that are kept as one object. More than a client with few rules ever has; when a client invents more, the
 * ones seen so far are forgotten and only sharing is lost.
 */
const MAX_SHARED_CONFIGS = 200;

/**
 * What a connection was told, kept up to date by the deltas that its client confirms. Live rooms that were told alike share
 * one object: thousands of rooms then cost a map entry each, and are compared with a request at one go.
 */
export class MutableConnectionState implements ConnectionState {
  readonly rooms = new Map<RoomNid, Told>();
  readonly lazyMembers = new Map<RoomNid, Set<UserId>>();
  subscriptions: ReadonlyMap<RoomId, RoomConfig> = new Map();
  readonly streams = new Map<RoomNid, StreamsTold>();
  accountData: StreamUpTo;
  readonly owing = { accountData: 0, receipts: 0, typing: 0 };
  readonly #configs = new Map<string, RoomConfig>();
  readonly #live = new Map<RoomConfig, Map<SentAs, Told>>();

  /** Costs as much as the delta is large. */
  apply(delta: ConnectionDelta): void {
    const touched = new Set([...delta.rooms.keys(), ...delta.streams.keys()]);
    for (const room of touched) this.#count(room, -1);
    for (const [room, told] of delta.rooms) this.rooms.set(room, this.#sharedTold(told));
    for (const [room, users] of delta.staleMembers) this.#forget(room, users);
    for (const [room, users] of delta.sentMembers) this.#remember(room, users);
    if (delta.subscriptions !== undefined) this.subscriptions = this.#sharedAll(delta.subscriptions);
    for (const [room, told] of delta.streams) {
      if (isNothingTold(told)) this.streams.delete(room);
      else this.streams.set(room, sharedStreams(told));
    }
    this.accountData = delta.accountData ?? this.accountData;
    for (const room of touched) this.#count(room, 1);
  }

  /** A state of its own that is equal to this one. */
  clone(): MutableConnectionState {
    const copy = new MutableConnectionState();
    copy.apply({
      rooms: this.rooms,
      sentMembers: this.lazyMembers,
      staleMembers: new Map(),
      subscriptions: this.subscriptions,
      streams: this.streams,
      accountData: this.accountData,
    });
    return copy;
  }

  #count(room: RoomNid, change: 1 | -1): void {
    const told = this.rooms.get(room);
    if (told === undefined) return;
    const streams = this.streams.get(room) ?? NO_STREAM_TOLD;
    for (const stream of ROOM_STREAMS) {
      if (isToldOf(stream, told.as) && streams[stream] !== "live") this.owing[stream] += change;
    }
  }

  #forget(room: RoomNid, users: ReadonlySet<UserId>): void {
    const known = this.lazyMembers.get(room);
    if (known === undefined) return;
    for (const userId of users) known.delete(userId);
    if (known.size === 0) this.lazyMembers.delete(room);
  }

  #remember(room: RoomNid, users: ReadonlySet<UserId>): void {
    const known = this.lazyMembers.get(room) ?? new Set();
    for (const userId of users) known.add(userId);
    this.lazyMembers.set(room, known);
  }

  #sharedAll(configs: ReadonlyMap<RoomId, RoomConfig>): ReadonlyMap<RoomId, RoomConfig> {
    return new Map([...configs].map(([roomId, config]) => [roomId, this.#shared(config)]));
  }

  #sharedTold({ upTo, as, config }: Told): Told {
    const shared = this.#shared(config);
    if (upTo !== "live") return { upTo, as, config: shared };
    const byMembership = this.#live.get(shared) ?? new Map<SentAs, Told>();
    const told = byMembership.get(as) ?? { upTo, as, config: shared };
    this.#live.set(shared, byMembership.set(as, told));
    return told;
  }

  #forgetShared(): void {
    this.#configs.clear();
    this.#live.clear();
  }

  #shared(config: RoomConfig): RoomConfig {
    const key = configKey(config);
    const known = this.#configs.get(key);
    if (known !== undefined) return known;
    if (this.#configs.size >= MAX_SHARED_CONFIGS) this.#forgetShared();
    this.#configs.set(key, config);
    return config;
  }
}
