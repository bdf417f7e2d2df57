import { afterEach, expect, test, vi } from "vitest";
import { withDeadline } from "./deadline.ts";

afterEach(() => vi.useRealTimers());

test("a deadline aborts with a TimeoutError, and not before", () => {
  vi.useFakeTimers();
  using deadline = withDeadline(new AbortController().signal, 100);
  vi.advanceTimersByTime(99);
  expect(deadline.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(deadline.signal.reason).toMatchObject({ name: "TimeoutError" });
});

test("the outer signal's reason comes through, also where it was aborted before", () => {
  const outer = new AbortController();
  using before = withDeadline(outer.signal, 100);
  outer.abort("enough");
  using after = withDeadline(outer.signal, 100);
  expect([before.signal.reason, after.signal.reason]).toEqual(["enough", "enough"]);
});

test("nothing is left of a deadline that was disposed of", () => {
  vi.useFakeTimers();
  const outer = new AbortController();
  const deadline = withDeadline(outer.signal, 100);
  deadline[Symbol.dispose]();
  expect(vi.getTimerCount()).toBe(0);
  outer.abort();
  expect(deadline.signal.aborted).toBe(false);
});

test("a deadline beyond what a timer counts does not pass at once", () => {
  vi.useFakeTimers();
  using deadline = withDeadline(new AbortController().signal, 2 ** 40);
  vi.advanceTimersByTime(1000);
  expect(deadline.signal.aborted).toBe(false);
});
