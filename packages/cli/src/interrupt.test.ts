import { afterEach, expect, test } from "vitest";
import { ExitWith } from "./failure.ts";
import { interruptible } from "./interrupt.ts";

const others = process.listeners("SIGINT");
afterEach(() => {
  for (const listener of process.listeners("SIGINT")) if (!others.includes(listener)) process.off("SIGINT", listener);
});

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("given up"))));

test("a key press that arrives again while what the work began is being cleared away doesn't end the program", async () => {
  const work = interruptible(untilAborted);
  process.emit("SIGINT");
  await expect(work).rejects.toMatchObject({ status: 130 });
  // Nobody who listens means that the signal kills.
  expect(process.listenerCount("SIGINT")).toBe(others.length + 1);
});

test("work that ends by itself leaves Ctrl-C to whoever comes next", async () => {
  expect(await interruptible(async () => 3)).toBe(3);
  const failing = interruptible(() => Promise.reject(new Error("its own")));
  await expect(failing).rejects.toThrow("its own");
  await expect(failing).rejects.not.toBeInstanceOf(ExitWith);
  expect(process.listenerCount("SIGINT")).toBe(others.length);
});
