import type { StateSelector } from "../../model/room-reads.ts";
import type { RequiredState, RoomConfig } from "../request.ts";
import { type ByteReader, type ByteWriter, DamagedBytesError } from "./bytes.ts";
import { WELL_KNOWN_TYPES } from "./well-known-types.ts";

/** How a part of a selector is written: anything, a text of its own, or a number from here on for a well-known one. */
const ANYTHING = 0;
const TEXT = 1;
const WELL_KNOWN = 2;

const WELL_KNOWN_KEYS: readonly string[] = [""];
const numbersOf = (texts: readonly string[]) => new Map(texts.map((text, number) => [text, number + WELL_KNOWN]));
const typeNumbers = numbersOf(WELL_KNOWN_TYPES);
const keyNumbers = numbersOf(WELL_KNOWN_KEYS);

export function writeConfig(writer: ByteWriter, config: RoomConfig): void {
  const { selectors, lazyMembers } = config.requiredState;
  writer.number(config.timelineLimit);
  writer.number(lazyMembers ? 1 : 0);
  writer.number(selectors.length);
  for (const { type, stateKey } of selectors) {
    writePart(writer, type, typeNumbers);
    writePart(writer, stateKey, keyNumbers);
  }
}

export function readConfig(reader: ByteReader): RoomConfig {
  const timelineLimit = reader.number();
  const lazyMembers = reader.number() === 1;
  const selectors = reader.list(
    (): StateSelector => ({ type: readPart(reader, WELL_KNOWN_TYPES), stateKey: readPart(reader, WELL_KNOWN_KEYS) }),
  );
  return { timelineLimit, requiredState: { selectors, lazyMembers } };
}

/** Equal for configs that say the same in the same order. */
export const configKey = ({ timelineLimit, requiredState }: RoomConfig): string =>
  `${timelineLimit}${keyOf(requiredState)}`;

const keys = new WeakMap<RequiredState, string>();

/** Absent parts become `null`, which no present part can be. */
function keyOf(required: RequiredState): string {
  const known = keys.get(required);
  if (known !== undefined) return known;
  const parts = required.selectors.map(({ type, stateKey }) => [type ?? null, stateKey ?? null]);
  const key = `${required.lazyMembers ? "lazy" : ""}${JSON.stringify(parts)}`;
  keys.set(required, key);
  return key;
}

function writePart(writer: ByteWriter, part: string | undefined, numbers: ReadonlyMap<string, number>): void {
  const number = part === undefined ? ANYTHING : (numbers.get(part) ?? TEXT);
  writer.number(number);
  if (part !== undefined && number === TEXT) writer.text(part);
}

function readPart(reader: ByteReader, wellKnown: readonly string[]): string | undefined {
  const number = reader.number();
  if (number === ANYTHING) return undefined;
  if (number === TEXT) return reader.text();
  const part = wellKnown[number - WELL_KNOWN];
  if (part === undefined) throw new DamagedBytesError(`${number} stands for no well-known text`);
  return part;
}
