import { expect } from "vitest";
import { commandLines, marker, type ProviderSuite, sh, shell, until } from "./suite.testing.ts";

/** When a command and what it started end. */
export const deadlineContract = (suite: ProviderSuite): void => {
  suite.each("ends the whole tree at the deadline, with what was printed, within 300 ms", async ({ guest }) => {
    const mark = marker(9);
    const started = performance.now();
    const result = await sh(guest, `echo early; setsid sleep ${mark} & sleep ${mark}`, { timeoutMs: 300 });
    expect(performance.now() - started).toBeLessThan(600);
    expect(result).toMatchObject({ out: "early\n", timedOut: true });
    const left = await until(
      async () => (await commandLines(guest)).includes(`sleep ${mark}\n`),
      (alive) => !alive,
      300,
    );
    expect(left).toBe(false);
  });

  suite.each("ends the whole tree when the caller goes away", async ({ guest }) => {
    const mark = marker(8);
    const away = new AbortController();
    const events = guest.exec({ argv: shell(`setsid sleep ${mark} & echo up; sleep ${mark}`) }, away.signal);
    await expect(
      (async () => {
        for await (const event of events) if (event.type === "output") away.abort();
      })(),
    ).rejects.toThrow();
    const alive = async () => (await commandLines(guest)).includes(mark);
    expect(await until(alive, (value) => !value, 2000)).toBe(false);
  });

  suite.each("lets a background child live on after its shell", async ({ guest }) => {
    const mark = marker(7);
    const result = await sh(guest, `sleep ${mark} & echo started`);
    expect(result).toMatchObject({ out: "started\n", exitCode: 0, background: true });
    expect(await commandLines(guest)).toContain(`sleep ${mark}`);
  });
};
