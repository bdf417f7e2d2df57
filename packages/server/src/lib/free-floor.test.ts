import { expect, test } from "vitest";
import { floorBytes, formatFreeFloor, parseFreeFloor } from "./free-floor.ts";

test.each([
  ["500", 500, 500],
  ["5%", 50, 5_000_000_000],
  ["2g,5%", 50, 2 * 1024 ** 3],
  ["12.5 %, 1k", 125, 1024],
  ["0", 0, 0],
])("%s is %d bytes of a small disk and %d of a large one", (text, small, large) => {
  const floor = parseFreeFloor(text);
  expect(floorBytes(floor, 1_000)).toBe(small);
  expect(floorBytes(floor, 100_000_000_000)).toBe(large);
  expect(parseFreeFloor(formatFreeFloor(floor))).toEqual(floor);
});

test.each(["", "%", "-1%", "100%", "1g,2g", "5%,5%", "much"])("%j is no floor", (text) => {
  expect(() => parseFreeFloor(text)).toThrow();
});
