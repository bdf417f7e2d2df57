import fc from "fast-check";
import { expect, test } from "vitest";
import { isoTime } from "./iso-time.ts";

test("writes every time as Date does, whatever was written before", () => {
  const day = fc.integer({ min: -100_000_000, max: 99_999_999 });
  const within = fc.integer({ min: 0, max: 86_399_999 });
  fc.assert(
    fc.property(fc.array(fc.tuple(day, within), { minLength: 1, maxLength: 5 }), (times) => {
      for (const [days, ms] of [...times, ...times]) {
        const time = days * 86_400_000 + ms;
        expect(isoTime(time)).toBe(new Date(time).toISOString());
      }
    }),
  );
  expect(isoTime(1.5)).toBe("1970-01-01T00:00:00.001Z");
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 1])("refuses %s, and still knows its day", (bad) => {
  expect(isoTime(0)).toBe("1970-01-01T00:00:00.000Z");
  expect(() => isoTime(bad)).toThrow(RangeError);
  expect(isoTime(1)).toBe("1970-01-01T00:00:00.001Z");
});
