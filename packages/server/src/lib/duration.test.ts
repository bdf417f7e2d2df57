import fc from "fast-check";
import { expect, test } from "vitest";
import { formatDuration, formatDurationNs, parseDuration, parseDurationNs } from "./duration.ts";

const anyNs = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });

test("whatever is printed is read back exactly, over the whole range", () => {
  fc.assert(fc.property(anyNs, (ns) => parseDurationNs(formatDurationNs(ns)) === ns));
});

test("any text is either a number or an error that quotes it", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc
      .array(fc.constantFrom("1", "0", "9", ".", "-", "+", "h", "m", "s", "ms", "us", "\u00b5s", "ns", " ", "x"))
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (value) => {
      try {
        return typeof parseDurationNs(value) === "bigint";
      } catch (error) {
        return error instanceof Error && /^time: (invalid duration|missing unit|unknown unit) ?/.test(error.message);
      }
    }),
  );
});

test.each([
  ["0", 0],
  ["-0", 0],
  ["+5s", 5_000],
  ["1h30m", 5_400_000],
  ["1.5s", 1_500],
  [".5m", 30_000],
  ["1.s", 1_000],
  ["-1m0.5s", -60_500],
  ["100us", 0.1],
  ["100\u00b5s", 0.1],
  ["100\u03bcs", 0.1],
  ["1m1m", 120_000],
  ["0.100000000000000000000h", 360_000],
])("%s is %d ms", (text, ms) => {
  expect(parseDuration(text) + 0).toBe(ms);
});

test.each([
  ["", 'time: invalid duration ""'],
  ["soon", 'time: invalid duration "soon"'],
  ["3", 'time: missing unit in duration "3"'],
  ["1h 2m", 'time: unknown unit "h " in duration "1h 2m"'],
  ["5d", 'time: unknown unit "d" in duration "5d"'],
  [".s", 'time: invalid duration ".s"'],
  ["--1s", 'time: invalid duration "--1s"'],
  ["9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'],
  ["3000000h", 'time: invalid duration "3000000h"'],
  ['1"\\\n\u00e9', 'time: unknown unit "\\"\\\\\\x0a\\xc3\\xa9" in duration "1\\"\\\\\\x0a\\xc3\\xa9"'],
])("%j is refused in the words of its origin", (text, message) => {
  expect(() => parseDuration(text)).toThrow(new Error(message));
});

test.each([
  [0, "0s"],
  [0.0001, "100ns"],
  [0.0015, "1.5\u00b5s"],
  [127.1, "127.1ms"],
  [1_000, "1s"],
  [1_500, "1.5s"],
  [60_000, "1m0s"],
  [3_600_000, "1h0m0s"],
  [86_400_000, "24h0m0s"],
  [-90_000, "-1m30s"],
])("%d ms is printed as %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
