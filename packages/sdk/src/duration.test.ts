import { expect, test } from "vitest";
import { durationMs } from "./duration.ts";

test.each([
  ["90s", 90_000],
  ["1h30m", 5_400_000],
  ["1.5s", 1500],
  ["250ms", 250],
  ["2µs", 0.002],
  ["1m500ms", 60_500],
])("%s is %d ms", (text, ms) => {
  expect(durationMs(text)).toBeCloseTo(ms, 9);
});

test.each(["", "5", "soon", "-1s", "1s ", "1x"])("%j is no duration that counts here", (text) => {
  expect(durationMs(text)).toBeUndefined();
});
