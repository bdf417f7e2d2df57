import fc from "fast-check";
import { expect, test } from "vitest";
import { editDistance, nearest } from "./edit-distance.ts";

test("the distance is a metric, bounded by the longer text", () => {
  const text = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(text, text, text, (a, b, c) => {
      const distance = editDistance(a, b);
      expect(distance === 0).toBe(a === b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(editDistance(a, c)).toBeLessThanOrEqual(distance + editDistance(b, c));
    }),
  );
});

test("the nearest name is found, and none where nothing is near", () => {
  const names = ["server.port", "server.host", "defaults.ttl"];
  expect(nearest("server.prot", names)).toBe("server.port");
  expect(nearest("default.ttl", names)).toBe("defaults.ttl");
  expect(nearest("zzz", names)).toBeUndefined();
  expect(nearest("x".repeat(1_000_000), names)).toBeUndefined();
  const long = "x".repeat(128);
  expect([nearest(long, [long]), nearest(`${long}x`, [long])]).toEqual([long, undefined]);
});
