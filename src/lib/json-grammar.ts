/**
 * The grammar of RFC 8259 byte by byte, as a table: the state and the next byte give the next state and an action. What
 * a table cannot know, which container is open, is left to the actions OPEN, CLOSE and COMMA. Bytes of 0x80 and above
 * are content inside strings and errors elsewhere: UTF-8 that does not decode is replaced by a reader, not refused.
 */

/** States. The two string states come first, so that one comparison finds both. */
const IN_STRING = 0;
export const IN_KEY = 1;
/** A value must follow. */
export const BEFORE_VALUE = 2;
/** A key must follow: after a comma in an object. */
export const BEFORE_KEY = 3;
/** A value has ended; also the state after the whole body. */
export const AFTER_VALUE = 4;
const FIRST_ELEMENT = 5;
const FIRST_KEY = 6;
const BEFORE_COLON = 7;
/** Escapes take five states each for values and keys: the byte after the backslash, then four hexadecimal digits. */
const STRING_ESCAPE = 8;
const KEY_ESCAPE = 13;
const MINUS = 18;
const ZERO = 19;
const INTEGER = 20;
const POINT = 21;
const FRACTION = 22;
const EXPONENT = 23;
const EXPONENT_SIGN = 24;
const EXPONENT_DIGITS = 25;
/** Three literals follow, one state for each of their letters but the last. */
const LITERALS = 26;
const STATES = 64;

/** Actions. A step without one only changes the state. */
export const NONE = 0;
const FAIL = 1;
/** A string, number or literal begins with this byte. */
export const BEGIN_SCALAR = 2;
/** A string or literal ends with this byte. */
export const END_SCALAR = 3;
/** A number ended before this byte, which is then read again in the state after it. */
export const END_NUMBER = 4;
export const BEGIN_KEY = 5;
export const END_KEY = 6;
export const OPEN_OBJECT = 7;
export const OPEN_ARRAY = 8;
export const CLOSE_OBJECT = 9;
export const CLOSE_ARRAY = 10;
export const COMMA = 11;

const SPACE = " \t\n\r";
const DIGITS = "0123456789";
const HEX_DIGITS = `${DIGITS}abcdefABCDEF`;

/** `STEPS[state << 8 | byte]` is `action << 8 | next state`. */
export const STEPS = buildSteps();

/** Index of the first byte at or after `at` that ends, escapes or breaks a string; `bytes.length` if there is none. */
export function endOfPlain(bytes: Uint8Array, at: number): number {
  let end = at;
  // IN_STRING and NONE are 0: the row of strings is the table's first, and a step of 0 is content.
  while (end < bytes.length && STEPS[bytes[end] ?? 0] === 0) end++;
  return end;
}

function buildSteps(): Uint16Array {
  const steps = new Uint16Array(STATES << 8).fill(FAIL << 8);
  const on = (from: number, bytes: string, next: number, action = NONE): void => {
    for (const byte of Buffer.from(bytes, "latin1")) steps[(from << 8) | byte] = (action << 8) | next;
  };
  addStructure(on);
  addString(on, IN_STRING, STRING_ESCAPE, AFTER_VALUE, END_SCALAR);
  addString(on, IN_KEY, KEY_ESCAPE, BEFORE_COLON, END_KEY);
  addNumbers(on);
  let state = LITERALS;
  for (const literal of ["true", "false", "null"]) state = addLiteral(on, literal, state);
  return steps;
}

type On = (from: number, bytes: string, next: number, action?: number) => void;

function addStructure(on: On): void {
  for (const state of [BEFORE_VALUE, FIRST_ELEMENT, BEFORE_KEY, FIRST_KEY, BEFORE_COLON, AFTER_VALUE]) {
    on(state, SPACE, state);
  }
  for (const state of [BEFORE_VALUE, FIRST_ELEMENT]) {
    on(state, "{", FIRST_KEY, OPEN_OBJECT);
    on(state, "[", FIRST_ELEMENT, OPEN_ARRAY);
    on(state, '"', IN_STRING, BEGIN_SCALAR);
    on(state, "-", MINUS, BEGIN_SCALAR);
    on(state, "0", ZERO, BEGIN_SCALAR);
    on(state, "123456789", INTEGER, BEGIN_SCALAR);
  }
  for (const state of [BEFORE_KEY, FIRST_KEY]) on(state, '"', IN_KEY, BEGIN_KEY);
  on(BEFORE_COLON, ":", BEFORE_VALUE);
  on(FIRST_KEY, "}", AFTER_VALUE, CLOSE_OBJECT);
  on(FIRST_ELEMENT, "]", AFTER_VALUE, CLOSE_ARRAY);
  on(AFTER_VALUE, "}", AFTER_VALUE, CLOSE_OBJECT);
  on(AFTER_VALUE, "]", AFTER_VALUE, CLOSE_ARRAY);
  on(AFTER_VALUE, ",", BEFORE_VALUE, COMMA);
}

function addString(on: On, inside: number, escaped: number, after: number, end: number): void {
  for (let byte = 0x20; byte <= 0xff; byte++) on(inside, String.fromCharCode(byte), inside);
  on(inside, '"', after, end);
  on(inside, "\\", escaped);
  on(escaped, '"\\/bfnrt', inside);
  on(escaped, "u", escaped + 1);
  for (let digit = 1; digit <= 3; digit++) on(escaped + digit, HEX_DIGITS, escaped + digit + 1);
  on(escaped + 4, HEX_DIGITS, inside);
}

function addNumbers(on: On): void {
  on(MINUS, "0", ZERO);
  on(MINUS, "123456789", INTEGER);
  on(INTEGER, DIGITS, INTEGER);
  for (const state of [ZERO, INTEGER]) on(state, ".", POINT);
  for (const state of [POINT, FRACTION]) on(state, DIGITS, FRACTION);
  for (const state of [ZERO, INTEGER, FRACTION]) on(state, "eE", EXPONENT);
  on(EXPONENT, "+-", EXPONENT_SIGN);
  for (const state of [EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS]) on(state, DIGITS, EXPONENT_DIGITS);
  for (const state of [ZERO, INTEGER, FRACTION, EXPONENT_DIGITS]) on(state, `${SPACE},]}`, AFTER_VALUE, END_NUMBER);
}

/** Adds the states of one literal from `state` on; returns the first state that is free after them. */
function addLiteral(on: On, literal: string, state: number): number {
  const [first = "", ...rest] = literal;
  for (const before of [BEFORE_VALUE, FIRST_ELEMENT]) on(before, first, state, BEGIN_SCALAR);
  const last = rest.length - 1;
  rest.forEach((letter, index) => {
    if (index < last) on(state + index, letter, state + index + 1);
    else on(state + index, letter, AFTER_VALUE, END_SCALAR);
  });
  return state + rest.length;
}
