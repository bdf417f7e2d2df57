import fc from "fast-check";
import { expect, test } from "vitest";
import { formatSize, parseSize } from "./size.ts";

test("whatever is printed is read back exactly", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseSize(formatSize(bytes)) === bytes));
});

test.each([
  ["0", 0],
  ["512m", 512 * 1024 ** 2],
  ["512MB", 512 * 1024 ** 2],
  ["512 MiB", 512 * 1024 ** 2],
  ["1.5g", 1.5 * 1024 ** 3],
  ["10b", 10],
  ["2t", 2 * 1024 ** 4],
])("%s is %d bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["", "m", "-1m", "1e3", "0x10", "1.m", "1mm", "1p", "NaN", "Infinity", "9999999t"])(
  "%j is no size",
  (text) => {
    expect(() => parseSize(text)).toThrow(/size/);
  },
);
