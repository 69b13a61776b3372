import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import type { StreamPosition } from "../model/stream-position.ts";
import { type ConnectionKey, textOfKey } from "../store/connections.ts";

/** What a `pos` says. */
export interface Pos {
  /** 0: a connection that was told nothing about rooms; nothing of it is stored. */
  readonly connection: number;
  /** Connection position; 0 with `connection` 0. */
  readonly position: number;
  /** Everything up to here was told, as far as the connection's state says so. */
  readonly stream: StreamPosition;
}

const VERSION = 1;
const NUMBER_BYTES = 7;
const NUMBERS_END = 1 + 3 * NUMBER_BYTES;
/** Shorter: forging comes into reach. Longer: every request and answer carries it. */
const MAC_BYTES = 12;
const POS_BYTES = NUMBERS_END + MAC_BYTES;
const POS_PATTERN = /^[A-Za-z0-9_-]+$/;

/** Writes and reads `pos`: numbers, and a MAC over them with the connection's key, so that no other connection can use it. */
export class PosCodec {
  readonly #macKey: KeyObject;
  readonly #formerKeys: readonly KeyObject[];

  /** What was written with a former key is read, too. */
  constructor(macKey: Buffer, formerKeys: readonly Buffer[] = []) {
    this.#macKey = createSecretKey(macKey);
    this.#formerKeys = formerKeys.map((key) => createSecretKey(key));
  }

  encode(pos: Pos, key: ConnectionKey): string {
    const bytes = Buffer.alloc(POS_BYTES);
    bytes.writeUInt8(VERSION, 0);
    [pos.connection, pos.position, pos.stream].forEach((value, index) => {
      writeNumber(bytes, value, 1 + index * NUMBER_BYTES);
    });
    macOf(this.#macKey, bytes.subarray(0, NUMBERS_END), key).copy(bytes, NUMBERS_END);
    return bytes.toString("base64url");
  }

  /** undefined: it is not ours, was changed, or belongs to another connection. */
  decode(text: string, key: ConnectionKey): Pos | undefined {
    if (!POS_PATTERN.test(text)) return undefined;
    const bytes = Buffer.from(text, "base64url");
    if (bytes.length !== POS_BYTES || bytes.toString("base64url") !== text || bytes[0] !== VERSION) return undefined;
    const [numbers, mac] = [bytes.subarray(0, NUMBERS_END), bytes.subarray(NUMBERS_END)];
    const isOurs = [this.#macKey, ...this.#formerKeys].some((each) => timingSafeEqual(macOf(each, numbers, key), mac));
    if (!isOurs) return undefined;
    return {
      connection: readNumber(bytes, 1),
      position: readNumber(bytes, 1 + NUMBER_BYTES),
      stream: readNumber(bytes, 1 + 2 * NUMBER_BYTES) as StreamPosition,
    };
  }
}

const macOf = (macKey: KeyObject, numbers: Buffer, key: ConnectionKey): Buffer =>
  createHmac("sha256", macKey).update(numbers).update(textOfKey(key)).digest().subarray(0, MAC_BYTES);

/** Numbers stay below 2^53; a Buffer writes at most 6 bytes at once. */
function writeNumber(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt8(Math.floor(value / 2 ** 48), at);
  bytes.writeUIntBE(value % 2 ** 48, at + 1, 6);
}

const readNumber = (bytes: Buffer, at: number): number => bytes.readUInt8(at) * 2 ** 48 + bytes.readUIntBE(at + 1, 6);
