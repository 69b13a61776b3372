import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { PieceWriter } from "../../../src/protocol/shared/piece-writer.ts";

test("the pieces are what was written, in order", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.constant("é".repeat(20_000)));
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 50 }),
    fc.nat(20_000).map((size) => new Uint8Array(size).fill(7)),
  );
  const parts = fc.array(
    fc.oneof(
      text,
      bytes.map((each) => Buffer.from(each)),
    ),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(parts, (written) => {
      const writer = new PieceWriter();
      for (const part of written) {
        if (typeof part === "string") writer.text(part);
        else writer.bytes(part);
      }
      const expected = Buffer.concat(written.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
      expect(Buffer.concat(writer.finish()).equals(expected)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test("nothing written is no piece", () => {
  expect(new PieceWriter().finish()).toEqual([]);
});
