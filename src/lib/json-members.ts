import { invariant } from "./invariant.ts";
import { keyText } from "./json-key.ts";

/** One member of an object, as offsets into its bytes. The member is `start` to `valueEnd`, its key begins with the quote. */
export interface JsonMember {
  /** Decoded. */
  readonly key: string;
  readonly start: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * The members of one object, in order, members with the same key included. `object` is known to be valid JSON; of other
 * bytes only what is easily seen throws. Made for small objects: it reads all bytes on the calling thread.
 */
export function membersOf(object: Buffer): JsonMember[] {
  const members: JsonMember[] = [];
  let at = skip(object, 0, OPEN_BRACE);
  while (object[at] === QUOTE) {
    const start = at;
    const keyEnd = endOfString(object, start);
    const valueStart = skip(object, keyEnd, COLON);
    const valueEnd = endOfValue(object, valueStart);
    members.push({ key: keyText(object, start + 1, keyEnd - 1), start, valueStart, valueEnd });
    at = afterSpace(object, valueEnd);
    if (object[at] === CLOSE_BRACE) break;
    at = skip(object, at, COMMA);
  }
  invariant(object[at] === CLOSE_BRACE, "members are read from one JSON object");
  return members;
}

/** `object` without the members that `drop` names, all else byte for byte; `object` itself when it names none. */
export function withoutMembers(object: Buffer, drop: (key: string) => boolean): Buffer {
  const members = membersOf(object);
  const pieces: Buffer[] = [];
  let isAnyKept = false;
  let copied = 0;
  members.forEach((member, index) => {
    if (!drop(member.key)) {
      isAnyKept = true;
      return;
    }
    // The comma that goes too is the one before; before the first member that is kept it is the one after.
    const from = isAnyKept ? members[index - 1]?.valueEnd : member.start;
    const to = isAnyKept ? member.valueEnd : members[index + 1]?.start;
    pieces.push(object.subarray(copied, from));
    copied = to ?? member.valueEnd;
  });
  return copied === 0 ? object : Buffer.concat([...pieces, object.subarray(copied)]);
}

/** `object` with one member more, at its end, so that it outdoes an earlier one of the same key. `rawValue` is valid JSON. */
export function withMember(object: Buffer, key: string, rawValue: Buffer): Buffer {
  const isEmpty = object[skip(object, 0, OPEN_BRACE)] === CLOSE_BRACE;
  const end = object.lastIndexOf(CLOSE_BRACE);
  const lead = `${isEmpty ? "" : ","}${JSON.stringify(key)}:`;
  return Buffer.concat([object.subarray(0, end), Buffer.from(lead), rawValue, object.subarray(end)]);
}

/** Index of what comes after white space, the byte `expected`, and white space again. */
function skip(bytes: Buffer, at: number, expected: number): number {
  const found = afterSpace(bytes, at);
  invariant(bytes[found] === expected, "members are read from one JSON object");
  return afterSpace(bytes, found + 1);
}

function afterSpace(bytes: Buffer, at: number): number {
  let end = at;
  while (isSpace(bytes[end])) end++;
  return end;
}

function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}

/** Index after the closing quote of the string that begins at `at`. */
function endOfString(bytes: Buffer, at: number): number {
  let end = at + 1;
  while (end < bytes.length) {
    const byte = bytes[end];
    if (byte === QUOTE) return end + 1;
    end += byte === BACKSLASH ? 2 : 1;
  }
  return end;
}

function endOfValue(bytes: Buffer, at: number): number {
  const first = bytes[at];
  if (first === QUOTE) return endOfString(bytes, at);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfContainer(bytes, at);
  let end = at;
  while (end < bytes.length && !isScalarEnd(bytes[end])) end++;
  return end;
}

function isScalarEnd(byte: number | undefined): boolean {
  return byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || isSpace(byte);
}

function endOfContainer(bytes: Buffer, at: number): number {
  let depth = 0;
  let end = at;
  while (end < bytes.length) {
    const byte = bytes[end];
    if (byte === QUOTE) {
      end = endOfString(bytes, end);
      continue;
    }
    end++;
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --depth === 0) return end;
  }
  return end;
}
