import fc from "fast-check";
import { expect, test } from "vitest";
import { createEscapeReader } from "./escape.ts";

const type = (...pieces: readonly string[]): string => {
  const read = createEscapeReader();
  let text = "";
  for (const piece of pieces) {
    const { bytes, detach } = read(Buffer.from(piece));
    text += Buffer.from(bytes).toString();
    if (detach) return `${text}|left`;
  }
  return text;
};

test.each([
  ["~.", "|left"],
  ["ls\r~.never sent", "ls\r|left"],
  ["a~.", "a~."],
  ["~~.", "~."],
  ["~x", "~x"],
  ["~\r~.", "~\r|left"],
])("typed %j is read as %j, however it is cut", (typed, read) => {
  expect(type(typed)).toBe(read);
  expect(type(...typed)).toBe(read);
});

test("what has no tilde at the beginning of a line goes on byte for byte", () => {
  const bytes = fc.uint8Array().filter((typed) => !typed.includes(0x7e));
  fc.assert(
    fc.property(fc.array(bytes), (pieces) => {
      const read = createEscapeReader();
      expect(Buffer.concat(pieces.map((piece) => read(piece).bytes))).toEqual(Buffer.concat(pieces));
    }),
  );
});
