import { crc32 } from "node:zlib";
import type { RoomId, RoomNid, UserId } from "../../model/ids.ts";
import { BEFORE_ALL, type StreamPosition } from "../../model/stream-position.ts";
import type { RoomConfig } from "../request.ts";
import { ByteReader, ByteWriter, DamagedBytesError } from "./bytes.ts";
import { configKey, readConfig, writeConfig } from "./config-codec.ts";
import { MutableConnectionState } from "./mutable-state.ts";
import type { ConnectionDelta, ConnectionState, SentAs, Told } from "./state.ts";
import { ROOM_STREAMS, type StreamsTold, type StreamUpTo } from "./streams.ts";

/** First byte of an encoding. Another layout gets another number; the old one stays readable as long as rows live. */
const FORMAT = 2;
/** Says nothing of streams. */
const FORMAT_WITHOUT_STREAMS = 1;
const CHECKSUM_BYTES = 4;
/** Numbers are stored: append only. */
const SENT_AS: readonly SentAs[] = ["stripped", "joined", "departed"];
/** Stands for `"live"` where a position told up to is written. */
const LIVE = BEFORE_ALL;

/** Stands for a stream that was never told. */
const NEVER = 0;

type Members = ConnectionDelta["sentMembers"];

export const isEmptyDelta = (delta: ConnectionDelta): boolean =>
  delta.rooms.size === 0 &&
  delta.sentMembers.size === 0 &&
  delta.staleMembers.size === 0 &&
  delta.subscriptions === undefined &&
  delta.streams.size === 0 &&
  delta.accountData === undefined;

/** Configs, positions and user ids are written once however many rooms have them; a room takes about five bytes. */
export function encodeDelta(delta: ConnectionDelta): Buffer {
  const tables = new Tables();
  const body = new ByteWriter();
  body.number(delta.rooms.size);
  for (const [room, told] of delta.rooms) writeTold(body, room, told, tables);
  writeMembers(body, delta.sentMembers, tables);
  writeMembers(body, delta.staleMembers, tables);
  writeSubscriptions(body, delta.subscriptions, tables);
  writeStreams(body, delta, tables);
  const head = new ByteWriter();
  head.number(FORMAT);
  tables.write(head);
  const bytes = Buffer.concat([head.finish(), body.finish(), Buffer.alloc(CHECKSUM_BYTES)]);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, -CHECKSUM_BYTES)), bytes.length - CHECKSUM_BYTES);
  return bytes;
}

/** Throws {@link DamagedBytesError} for anything that {@link encodeDelta} did not write. */
export function decodeDelta(bytes: Buffer): ConnectionDelta {
  if (bytes.length <= CHECKSUM_BYTES) throw new DamagedBytesError("a connection delta is too short");
  const content = bytes.subarray(0, -CHECKSUM_BYTES);
  if (crc32(content) !== bytes.readUInt32BE(content.length)) {
    throw new DamagedBytesError("the checksum of a connection delta does not hold");
  }
  const reader = new ByteReader(content);
  const format = reader.number();
  if (format !== FORMAT && format !== FORMAT_WITHOUT_STREAMS)
    throw new DamagedBytesError(`a connection delta has the unknown format ${format}`);
  const tables = readTables(reader);
  const delta: ConnectionDelta = {
    rooms: new Map(reader.list(() => readTold(reader, tables))),
    sentMembers: readMembers(reader, tables),
    staleMembers: readMembers(reader, tables),
    subscriptions: readSubscriptions(reader, tables),
    ...(format === FORMAT ? readStreams(reader, tables) : NO_STREAMS),
  };
  reader.end();
  return delta;
}

/** A whole state, as the delta that makes it from nothing. */
export const encodeState = (state: ConnectionState): Buffer =>
  encodeDelta({
    rooms: state.rooms,
    sentMembers: state.lazyMembers,
    staleMembers: new Map(),
    subscriptions: state.subscriptions.size === 0 ? undefined : state.subscriptions,
    streams: state.streams,
    accountData: state.accountData,
  });

export function decodeState(bytes: Buffer): MutableConnectionState {
  const state = new MutableConnectionState();
  state.apply(decodeDelta(bytes));
  return state;
}

/** What rooms refer to by number. */
class Tables {
  readonly #positions = new Map<StreamPosition, number>();
  readonly #users = new Map<UserId, number>();
  readonly #configNumbers = new Map<string, number>();
  readonly #configs: RoomConfig[] = [];

  /** Never, or the number of a position and one more. */
  upTo = (upTo: StreamUpTo): number => (upTo === undefined ? NEVER : 1 + this.position(upTo));

  position = (upTo: Told["upTo"]): number => numberOf(this.#positions, upTo === "live" ? LIVE : upTo);

  user = (userId: UserId): number => numberOf(this.#users, userId);

  config = (config: RoomConfig): number => {
    const number = numberOf(this.#configNumbers, configKey(config));
    if (number === this.#configs.length) this.#configs.push(config);
    return number;
  };

  write(writer: ByteWriter): void {
    writer.number(this.#positions.size);
    for (const position of this.#positions.keys()) writer.number(position);
    writer.number(this.#users.size);
    for (const userId of this.#users.keys()) writer.text(userId);
    writer.number(this.#configs.length);
    for (const config of this.#configs) writeConfig(writer, config);
  }
}

/** The number of `key` in order of appearance. */
function numberOf<Key>(numbers: Map<Key, number>, key: Key): number {
  const known = numbers.get(key);
  if (known !== undefined) return known;
  numbers.set(key, numbers.size);
  return numbers.size - 1;
}

interface ReadTables {
  readonly positions: readonly StreamPosition[];
  readonly users: readonly UserId[];
  readonly configs: readonly RoomConfig[];
}

const readTables = (reader: ByteReader): ReadTables => ({
  positions: reader.list(() => reader.number() as StreamPosition),
  users: reader.list(() => reader.text() as UserId),
  configs: reader.list(() => readConfig(reader)),
});

function pick<Item>(items: readonly Item[], reader: ByteReader): Item {
  const number = reader.number();
  const item = items[number];
  if (item === undefined) throw new DamagedBytesError(`a table has no entry ${number}`);
  return item;
}

function writeTold(writer: ByteWriter, room: RoomNid, told: Told, tables: Tables): void {
  writer.number(room);
  writer.number(SENT_AS.indexOf(told.as));
  writer.number(tables.position(told.upTo));
  writer.number(tables.config(told.config));
}

function readTold(reader: ByteReader, tables: ReadTables): [RoomNid, Told] {
  const room = reader.number() as RoomNid;
  const as = pick(SENT_AS, reader);
  const upTo = pick(tables.positions, reader);
  return [room, { upTo: upTo === LIVE ? "live" : upTo, as, config: pick(tables.configs, reader) }];
}

function writeMembers(writer: ByteWriter, members: Members, tables: Tables): void {
  writer.number(members.size);
  for (const [room, users] of members) {
    writer.number(room);
    writer.number(users.size);
    for (const userId of users) writer.number(tables.user(userId));
  }
}

const readMembers = (reader: ByteReader, tables: ReadTables): Members =>
  new Map(
    reader.list(() => [reader.number() as RoomNid, new Set(reader.list(() => pick(tables.users, reader)))] as const),
  );

/** 0 when they did not change, else 1 and all of them. */
function writeSubscriptions(writer: ByteWriter, subscriptions: ConnectionDelta["subscriptions"], tables: Tables): void {
  writer.number(subscriptions === undefined ? 0 : 1);
  if (subscriptions === undefined) return;
  writer.number(subscriptions.size);
  for (const [roomId, config] of subscriptions) {
    writer.text(roomId);
    writer.number(tables.config(config));
  }
}

function readSubscriptions(reader: ByteReader, tables: ReadTables): ConnectionDelta["subscriptions"] {
  if (reader.number() === 0) return undefined;
  return new Map(reader.list(() => [reader.text() as RoomId, pick(tables.configs, reader)] as const));
}

/** Few combinations hold of many rooms: each is written once, before the rooms, which refer to it by number. */
function writeStreams(writer: ByteWriter, { streams, accountData }: ConnectionDelta, tables: Tables): void {
  const numbers = new Map<string, number>();
  const distinct: StreamsTold[] = [];
  const refs = [...streams.values()].map((told) => {
    const number = numberOf(numbers, ROOM_STREAMS.map((stream) => tables.upTo(told[stream])).join());
    if (number === distinct.length) distinct.push(told);
    return number;
  });
  writer.number(tables.upTo(accountData));
  writer.number(distinct.length);
  for (const told of distinct) for (const stream of ROOM_STREAMS) writer.number(tables.upTo(told[stream]));
  writer.number(streams.size);
  for (const [at, room] of [...streams.keys()].entries()) {
    writer.number(room);
    writer.number(refs[at] ?? 0);
  }
}

type Streams = Pick<ConnectionDelta, "streams" | "accountData">;

const NO_STREAMS: Streams = { streams: new Map(), accountData: undefined };

function readStreams(reader: ByteReader, tables: ReadTables): Streams {
  const accountData = readUpTo(reader, tables);
  const distinct = reader.list(
    (): StreamsTold => ({
      accountData: readUpTo(reader, tables),
      receipts: readUpTo(reader, tables),
      typing: readUpTo(reader, tables),
    }),
  );
  const streams = new Map(reader.list(() => [reader.number() as RoomNid, pick(distinct, reader)] as const));
  return { streams, accountData };
}

function readUpTo(reader: ByteReader, { positions }: ReadTables): StreamUpTo {
  const number = reader.number();
  if (number === NEVER) return undefined;
  const upTo = positions[number - 1];
  if (upTo === undefined) throw new DamagedBytesError(`a table has no position ${number - 1}`);
  return upTo === LIVE ? "live" : upTo;
}
