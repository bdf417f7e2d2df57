import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeCursor, encodeCursor } from "./cursor.ts";

test("a cursor leads back to its position, and any other text is refused as bad input", () => {
  fc.assert(
    fc.property(fc.nat(), fc.string({ maxLength: 64 }), (createdAtMs, id) => {
      const position = { createdAtMs, id: id.toWellFormed() };
      expect(decodeCursor(encodeCursor(position))).toEqual(position);
    }),
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
  for (const forged of ["[1]", '["1","x"]', '[1,"x",2]', "{}", '[1e400,"x"]']) {
    expect(() => decodeCursor(Buffer.from(forged).toString("base64url"))).toThrow("cursor");
  }
});
