import type { StoredEvent } from "../../model/stored-event.ts";
import type { PieceWriter } from "./piece-writer.ts";

const CLOSING_BRACE = 0x7d;
const OPENING_BRACE = 0x7b;

/**
 * Writes an event in client format: the stored body as it is, with `unsigned` added.
 *
 * @param transactionId only for the device that sent the event (`unsigned.transaction_id`).
 */
export function writeEvent(writer: PieceWriter, event: StoredEvent, transactionId: string | undefined): void {
  if (event.unsigned === undefined && transactionId === undefined) {
    writer.bytes(event.body);
    return;
  }
  writeOpenObject(writer, event.body);
  writer.text('"unsigned":');
  writeUnsigned(writer, event.unsigned, transactionId);
  writer.text("}");
}

function writeUnsigned(writer: PieceWriter, unsigned: Buffer | undefined, transactionId: string | undefined): void {
  if (transactionId === undefined) {
    writer.bytes(unsigned ?? EMPTY_OBJECT);
    return;
  }
  writeOpenObject(writer, unsigned ?? EMPTY_OBJECT);
  writer.text(`"transaction_id":${JSON.stringify(transactionId)}}`);
}

const EMPTY_OBJECT = Buffer.from("{}");

/** Writes a JSON object up to where another member can follow. */
function writeOpenObject(writer: PieceWriter, object: Buffer): void {
  const end = object.lastIndexOf(CLOSING_BRACE);
  writer.bytes(object.subarray(0, end));
  if (!isOnlyOpened(object, end)) writer.text(",");
}

function isOnlyOpened(object: Buffer, end: number): boolean {
  let last = end - 1;
  while (last > 0 && (object[last] ?? 0) <= 0x20) last--;
  return object[last] === OPENING_BRACE && last === object.indexOf(OPENING_BRACE);
}

/** Writes a JSON array of what `write` writes for each item. */
export function writeArray<Item>(writer: PieceWriter, items: Iterable<Item>, write: (item: Item) => void): void {
  let separator = "[";
  for (const item of items) {
    writer.text(separator);
    write(item);
    separator = ",";
  }
  writer.text(separator === "[" ? "[]" : "]");
}
