import type { Queryable } from "./database.ts";

// Ten thousand rows cost the driver longer than the database. So what is read by the thousand comes as one row, with a byte
// string for each column: a value for every room, or (room, value) pairs of those rooms in which it says something.

const INT_BYTES = 4;
const VALUE_WORDS = 2;
const HIGH = 2 ** 32;

/** SQL: an aggregate that packs a number of each room; `value` is a bigint and not null. */
export const packedPairs = (room: string, value: string): string =>
  `string_agg(int4send(${room}) || int8send(${value}), '')`;

/** SQL: two numbers below 2^31 as one value; see {@link highOf} and {@link lowOf}. */
export const packedTwo = (high: string, low: string): string => `((${high})::bigint << 32 | ${low})`;

export const highOf = (value: number): number => Math.floor(value / HIGH);
export const lowOf = (value: number): number => value % HIGH;

/** SQL: aggregates that pack the numbers of all rooms, in one order for all columns; `value` is not null. */
export const packedInts = (value: string): string => `string_agg(int4send(${value}), '')`;
export const packedValues = (value: string): string => `string_agg(int8send(${value}), '')`;

export const intsOf = (packed: Buffer): Int32Array => wordsOf(packed);

export function valuesOf(packed: Buffer): Float64Array {
  const words = wordsOf(packed);
  const values = new Float64Array(words.length / VALUE_WORDS);
  for (let index = 0; index < values.length; index++) values[index] = valueAt(words, index * VALUE_WORDS);
  return values;
}

export function eachPair(packed: Buffer | null, take: (room: number, value: number) => void): void {
  if (packed === null) return;
  const words = wordsOf(packed);
  for (let at = 0; at < words.length; at += 1 + VALUE_WORDS) take(words[at] ?? 0, valueAt(words, at + 1));
}

const valueAt = (words: Int32Array, at: number): number => (words[at] ?? 0) * HIGH + ((words[at + 1] ?? 0) >>> 0);

/** The database sends the highest byte first, which no machine does that this runs on. */
function wordsOf(packed: Buffer): Int32Array {
  const words = new Int32Array(packed.length / INT_BYTES);
  const bytes = Buffer.from(words.buffer);
  packed.copy(bytes);
  bytes.swap32();
  return words;
}

/** SQL: an aggregate that packs a byte string of each room; `bytes` is not null. */
export const packedBytes = (room: string, bytes: string): string =>
  `string_agg(int4send(${room}) || int4send(octet_length(${bytes})) || ${bytes}, '')`;

export function eachBytes(packed: Buffer | null, take: (room: number, bytes: Buffer) => void): void {
  if (packed === null) return;
  for (let at = 0; at < packed.length; ) {
    const start = at + 2 * INT_BYTES;
    const end = start + packed.readInt32BE(at + INT_BYTES);
    // A copy, lest a few bytes keep all of the row in memory.
    take(packed.readInt32BE(at), Buffer.from(packed.subarray(start, end)));
    at = end;
  }
}

// An array of values is looked up by the index, whatever the planner thinks of its length; the whole table never is read.
const SELECT_POSITIONS = `
  SELECT string_agg(int8send(batch) || int8send(position), '') AS packed FROM changes WHERE batch = ANY($1::bigint[])`;

/** Positions of published batches: few even where rooms are many, since a long response puts thousands in one. */
export async function selectPositions(
  db: Queryable,
  batches: ReadonlySet<number>,
): Promise<ReadonlyMap<number, number>> {
  const positions = new Map<number, number>();
  if (batches.size === 0) return positions;
  const [row] = await db.query<{ packed: Buffer | null }>({
    name: "select-positions",
    text: SELECT_POSITIONS,
    values: [[...batches]],
  });
  const values = valuesOf(row?.packed ?? Buffer.alloc(0));
  for (let index = 0; index < values.length; index += 2) positions.set(values[index] ?? 0, values[index + 1] ?? 0);
  return positions;
}
