import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import type { ProcessEvent } from "../../guest/guest-processes.ts";
import { bytes, type ProviderSuite, sh, shell, signal, until } from "./suite.testing.ts";

/** Watchers that an agent lets one process have, as its own bound says. */
const readersMax = 32;

const start = async (guest: Guest, script: string, more: Partial<Parameters<Guest["processes"]["start"]>[1]> = {}) =>
  (await guest.processes.start(`pr-${randomBytes(8).toString("hex")}`, { argv: shell(script), ...more }, signal())).id;

/** Everything that a watcher is told from an offset on, until the end. */
const told = async (guest: Guest, id: string, offset = 0): Promise<readonly ProcessEvent[]> => {
  const events: ProcessEvent[] = [];
  for await (const event of guest.processes.attach(id, { offset, follow: true }, signal())) {
    if (event.type !== "keepalive") events.push("data" in event ? { ...event, data: Buffer.from(event.data) } : event);
  }
  return events;
};

const output = (events: readonly ProcessEvent[]): Buffer =>
  Buffer.concat(events.flatMap((event) => (event.type === "output" ? [event.data] : [])));

/** What a script does until a file is there; which files, each test says for itself. */
const waitFor = (file: string): string => `while [ ! -e ${file} ]; do sleep 0.05; done`;

/** How processes, their input and what is kept of their output end. */
export const processEndsContract = (suite: ProviderSuite): void => {
  suite.each("replays what is kept byte for byte, and says which bytes are lost", async ({ guest }) => {
    const content = randomBytes(3_000_001);
    await guest.writeFile("/tmp/content", content, {}, signal());
    const id = await start(guest, "cat /tmp/content; exit 7");
    expect((await guest.processes.wait(id, 20_000, signal())).exit).toMatchObject({ exitCode: 7 });
    const { firstOffset, nextOffset } = await guest.processes.get(id, signal());
    expect(nextOffset).toBe(content.length);
    expect(firstOffset).toBeGreaterThan(0);
    for (const from of [0, firstOffset - 1, firstOffset, nextOffset - 1, nextOffset]) {
      const events = await told(guest, id, from);
      const [first] = events;
      if (from < firstOffset) expect(first).toEqual({ type: "gap", offset: from, until: firstOffset });
      else expect(events.map(({ type }) => type)).not.toContain("gap");
      expect(output(events).equals(content.subarray(Math.max(from, firstOffset))), `from ${from}`).toBe(true);
      expect(events.slice(-2).map(({ type }) => type)).toEqual(["live", "exit"]);
    }
  });

  suite.each("a process that closes all that it was given lives on, and its end is told", async ({ guest }) => {
    await sh(guest, "rm -f /tmp/closed-go");
    const id = await start(guest, `echo out; exec <&- >&- 2>&-; ${waitFor("/tmp/closed-go")}; exit 9`);
    const following = told(guest, id);
    const seen = await until(
      () => guest.processes.get(id, signal()),
      ({ nextOffset }) => nextOffset === 4,
    );
    expect(seen).toMatchObject({ state: "running", exit: undefined });
    await sh(guest, ": > /tmp/closed-go");
    const events = await following;
    expect(output(events).toString()).toBe("out\n");
    expect(events.at(-1)).toMatchObject({ type: "exit", exitCode: 9, signal: 0 });
  });

  suite.each("what a command leaves behind is shown, and followed to its end", async ({ guest }) => {
    await sh(guest, "rm -f /tmp/behind-go");
    const id = await start(guest, `(${waitFor("/tmp/behind-go")}; echo late) & echo early; exit 4`);
    const following = told(guest, id);
    const left = await guest.processes.wait(id, 20_000, signal());
    expect(left).toMatchObject({ state: "background", exit: { exitCode: 4, background: true } });
    const { members } = await guest.processes.get(id, signal());
    expect(members.length).toBeGreaterThan(0);
    expect(members.map(({ pid }) => pid)).not.toContain(left.pid);
    await sh(guest, ": > /tmp/behind-go");
    expect(output(await following).toString()).toBe("early\nlate\n");
    const ended = await until(
      () => guest.processes.get(id, signal()),
      ({ state }) => state === "exited",
    );
    expect(ended).toMatchObject({ state: "exited", members: [], exit: { exitCode: 4 } });
  });

  suite.each("input ends when it is closed, and nothing can be given after that", async ({ guest }) => {
    const id = await start(guest, "cat; exit 2", { stdinOpen: true });
    const content = randomBytes(200_000);
    for (let at = 0; at < content.length; at += 50_000) {
      await guest.processes.writeStdin(id, content.subarray(at, at + 50_000), 5_000, signal());
    }
    await guest.closeStdin(id, signal());
    expect((await guest.processes.wait(id, 20_000, signal())).exit).toMatchObject({ exitCode: 2 });
    expect(output(await told(guest, id)).equals(content)).toBe(true);
    const conflict = { reason: "process_state_conflict" };
    await expect(guest.processes.writeStdin(id, bytes("x"), 0, signal())).rejects.toMatchObject(conflict);
    const without = await start(guest, "cat");
    expect((await guest.processes.wait(without, 20_000, signal())).exit).toMatchObject({ exitCode: 0 });
    await expect(guest.processes.writeStdin(without, bytes("x"), 0, signal())).rejects.toMatchObject(conflict);
  });

  suite.each("a process is ended with its tree at its deadline, or told by one signal alone", async ({ guest }) => {
    const late = await start(guest, "sleep 1000 & echo partial; sleep 1000", { timeoutMs: 200 });
    const events = await told(guest, late);
    expect(output(events).toString()).toBe("partial\n");
    expect(events.at(-1)).toMatchObject({ type: "exit", timedOut: true, exitCode: 137 });
    const asked = await start(guest, "trap 'echo asked; exit 3' USR1; echo up; while :; do sleep 0.05; done");
    await until(
      () => guest.processes.get(asked, signal()),
      ({ nextOffset }) => nextOffset > 0,
    );
    await guest.signalProcess(asked, 10, false, signal());
    expect((await guest.processes.wait(asked, 20_000, signal())).exit).toMatchObject({ exitCode: 3, signal: 0 });
    expect(output(await told(guest, asked)).toString()).toBe("up\nasked\n");
  });

  suite.each("a process has 32 watchers and no more, and waiters beside them", async ({ guest }) => {
    const id = await start(guest, "read x; exit 6", { stdinOpen: true });
    const watch = async () => {
      const events = guest.processes.attach(id, { offset: 0, follow: true }, signal())[Symbol.asyncIterator]();
      expect((await events.next()).value).toMatchObject({ type: "live" });
      return events;
    };
    const watchers = await Promise.all(Array.from({ length: readersMax }, watch));
    await expect(watch()).rejects.toMatchObject({ reason: "sandbox_limit" });
    await watchers.pop()?.return?.();
    const free = () => watch().catch(() => undefined);
    const last = await until(free, (events) => events !== undefined);
    const waiters = Array.from({ length: 5 }, () => guest.processes.wait(id, 20_000, signal()));
    await guest.processes.writeStdin(id, bytes("\n"), 1_000, signal());
    for (const { exit } of await Promise.all(waiters)) expect(exit).toMatchObject({ exitCode: 6 });
    for (const events of [...watchers, last]) {
      const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => events as AsyncIterator<ProcessEvent> });
      expect(rest.at(-1)).toMatchObject({ type: "exit", exitCode: 6 });
    }
  });
};
