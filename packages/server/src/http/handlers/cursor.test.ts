import { sandboxSorts } from "@stacyvm/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeCursor, encodeCursor } from "./cursor.ts";

test("a cursor leads back to its position, and any other text is refused as bad input", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...sandboxSorts),
      fc.nat(),
      fc.string({ maxLength: 64 }),
      fc.string({ maxLength: 64 }),
      (sort, number, name, id) => {
        const value = sort.endsWith("name") ? name.toWellFormed() : number;
        const position = { value, id: id.toWellFormed() };
        expect(decodeCursor(encodeCursor(position, sort), sort)).toEqual(position);
        const other = sandboxSorts[(sandboxSorts.indexOf(sort) + 1) % sandboxSorts.length];
        expect(() => decodeCursor(encodeCursor(position, sort), other)).toThrow("for this order");
      },
    ),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        decodeCursor(text);
      } catch (error) {
        expect(error).toMatchObject({ reason: "invalid_input" });
      }
    }),
  );
  for (const forged of [
    "[1]",
    '["1","x"]',
    '[1,"x",2]',
    "{}",
    '[1e400,"x"]',
    '[1,"x","-created_at","y"]',
    '[{},"x"]',
  ]) {
    expect(() => decodeCursor(Buffer.from(forged).toString("base64url"))).toThrow("cursor");
  }
});
