import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import type { ProcessEvent } from "../../guest/guest-processes.ts";
import { type ProviderSuite, shell, signal, until } from "./suite.testing.ts";

const hex = () => randomBytes(8).toString("hex");
const command = (script: string) => ({ argv: shell(script) });

const collect = async (guest: Guest, id: string, offset: number, follow: boolean): Promise<readonly ProcessEvent[]> =>
  await Array.fromAsync(guest.processes.attach(id, { offset, follow }, signal()));

const output = (events: readonly ProcessEvent[]): string =>
  Buffer.concat(events.flatMap((event) => (event.type === "output" ? [event.data] : []))).toString("latin1");

/** The next event that says anything. */
const next = async (events: AsyncIterator<ProcessEvent>): Promise<ProcessEvent | undefined> => {
  for (;;) {
    const { done, value } = await events.next();
    if (done === true) return undefined;
    if (value.type !== "keepalive") return value;
  }
};

/** Processes that outlive the call that started them. */
export const processesContract = (suite: ProviderSuite): void => {
  suite.each(
    "starts a process that nobody follows, tells what it is, and its exit after the end",
    async ({ guest }) => {
      const id = `pr-${hex()}`;
      const wanted = { ...command("echo out; read x; exit 5"), cwd: "/tmp", tag: "mine", stdinOpen: true };
      expect(await guest.processes.start(id, wanted, signal())).toMatchObject({ id, state: "running" });
      expect(await guest.processes.get(id, signal())).toMatchObject({ id, cwd: "/tmp", tag: "mine", stdinOpen: true });
      expect((await guest.processes.list(signal())).map((one) => one.id)).toContain(id);
      expect((await guest.processes.wait(id, 0, signal())).exit).toBeUndefined();
      await guest.processes.writeStdin(id, Buffer.from("\n"), 1_000, signal());
      expect(await guest.processes.wait(id, 20_000, signal())).toMatchObject({ exit: { exitCode: 5, signal: 0 } });
      const events = await collect(guest, id, 0, true);
      expect(events.map(({ type }) => type)).toEqual(["output", "live", "exit"]);
      expect(output(events)).toBe("out\n");
    },
  );

  suite.each("refuses an id that is in use, and one that isn't there", async ({ guest }) => {
    const id = `pr-${hex()}`;
    await guest.processes.start(id, command("true"), signal());
    await expect(guest.processes.start(id, command("true"), signal())).rejects.toMatchObject({
      reason: "already_exists",
    });
    const nowhere = `pr-${hex()}`;
    const absent = { reason: "process_not_found" };
    await expect(guest.processes.get(nowhere, signal())).rejects.toMatchObject(absent);
    await expect(guest.processes.wait(nowhere, 0, signal())).rejects.toMatchObject(absent);
    await expect(collect(guest, nowhere, 0, false)).rejects.toMatchObject(absent);
    await expect(guest.signalProcess(nowhere, 9, true, signal())).rejects.toMatchObject(absent);
  });

  suite.each("shows several watchers the same bytes, each from its own offset, while it lives", async ({ guest }) => {
    const id = `pr-${hex()}`;
    await guest.processes.start(id, { ...command("printf abc; read x; printf def"), stdinOpen: true }, signal());
    const first = guest.processes.attach(id, { offset: 0, follow: true }, signal())[Symbol.asyncIterator]();
    for (let seen = ""; seen !== "abc"; ) {
      const event = await next(first);
      if (event?.type === "output") seen += Buffer.from(event.data).toString();
    }
    const watchers = [0, 1, 3, 99].map((offset) =>
      guest.processes.attach(id, { offset, follow: true }, signal())[Symbol.asyncIterator](),
    );
    const untilLive = async (events: AsyncIterator<ProcessEvent>): Promise<string> => {
      let seen = "";
      for (let event = await next(events); event?.type !== "live"; event = await next(events)) {
        if (event?.type === "output") seen += Buffer.from(event.data).toString();
      }
      return seen;
    };
    expect(await Promise.all(watchers.map(untilLive))).toEqual(["abc", "bc", "", ""]);
    await guest.processes.writeStdin(id, Buffer.from("\n"), 1_000, signal());
    for (const events of [first, ...watchers]) {
      expect(output(await Array.fromAsync({ [Symbol.asyncIterator]: () => events }))).toBe("def");
    }
    expect(output(await collect(guest, id, 4, false))).toBe("ef");
  });

  suite.each("a watcher that leaves, or doesn't read, neither ends nor stalls the process", async ({ guest }) => {
    const id = `pr-${hex()}`;
    const size = 24 * 1024 * 1024;
    await guest.processes.start(
      id,
      { ...command(`read x; head -c ${size} /dev/zero; printf end`), stdinOpen: true },
      signal(),
    );
    const leaving = guest.processes.attach(id, { offset: 0, follow: true }, signal())[Symbol.asyncIterator]();
    const stalled = guest.processes.attach(id, { offset: 0, follow: true }, signal())[Symbol.asyncIterator]();
    expect([await next(leaving), await next(stalled)].map((event) => event?.type)).toEqual(["live", "live"]);
    await leaving.return?.();
    await guest.processes.writeStdin(id, Buffer.from("\n"), 1_000, signal());
    expect((await guest.processes.wait(id, 25_000, signal())).exit).toMatchObject({ exitCode: 0 });
    let at = 0;
    let lost = 0;
    for (let event = await next(stalled); event !== undefined; event = await next(stalled)) {
      if (event.type === "gap") lost += event.until - event.offset;
      if (event.type === "gap") expect(event.offset).toBe(at);
      if (event.type === "gap") at = event.until;
      if (event.type === "output") expect(event.offset).toBe(at);
      if (event.type === "output") at += event.data.length;
    }
    expect(at).toBe(size + 3);
    expect(lost).toBeGreaterThan(0);
  });

  suite.each("a terminal takes input, a size and signals, and its process can't close it", async ({ guest }) => {
    const id = `pr-${hex()}`;
    const pty = { cols: 91, rows: 33 };
    await guest.processes.start(id, { ...command("stty size; read x; stty size; exec sleep 69"), pty }, signal());
    const events = guest.processes.attach(id, { offset: 0, follow: true }, signal())[Symbol.asyncIterator]();
    let seen = "";
    const untilSeen = async (words: string) => {
      while (!seen.includes(words)) {
        const event = await next(events);
        if (event === undefined) throw new Error(`it ended after ${JSON.stringify(seen)}`);
        if (event.type === "output") expect(event.stream).toBe("pty");
        if (event.type === "output") seen += Buffer.from(event.data).toString();
      }
    };
    await untilSeen("33 91");
    await guest.resizePty(id, { cols: 120, rows: 40 }, signal());
    await guest.processes.writeStdin(id, Buffer.from("\n"), 1_000, signal());
    await untilSeen("40 120");
    await expect(guest.closeStdin(id, signal())).rejects.toMatchObject({ reason: "process_state_conflict" });
    await guest.signalProcess(id, 15, true, signal());
    expect((await guest.processes.wait(id, 20_000, signal())).exit).toMatchObject({ exitCode: 143, signal: 15 });
    // The program that told the size may outlive its shell by a moment.
    const whole = () => guest.processes.get(id, signal());
    expect(await until(whole, ({ state }) => state === "exited")).toMatchObject({ state: "exited" });
    const ended = { reason: "process_state_conflict" };
    await expect(guest.signalProcess(id, 15, true, signal())).rejects.toMatchObject(ended);
    await events.return?.();
  });

  suite.each(
    "input for a process that doesn't read is refused in time, and nothing of it was taken",
    async ({ guest }) => {
      const id = `pr-${hex()}`;
      await guest.processes.start(id, { ...command("exec wc -c"), stdinOpen: true }, signal());
      const piece = Buffer.alloc(64 * 1024, "x");
      let written = 0;
      const fill = async () => {
        for (;;) {
          await guest.processes.writeStdin(id, piece, 100, signal());
          written += piece.length;
        }
      };
      // A stopped process reads nothing.
      await guest.signalProcess(id, 19, true, signal());
      await expect(fill()).rejects.toMatchObject({ reason: "stdin_full" });
      await guest.signalProcess(id, 18, true, signal());
      await guest.processes.writeStdin(id, Buffer.from("rest"), 20_000, signal());
      await guest.closeStdin(id, signal());
      await guest.processes.wait(id, 20_000, signal());
      expect(written).toBeGreaterThan(0);
      expect(output(await collect(guest, id, 0, false)).trim()).toBe(String(written + 4));
    },
  );

  suite.each(
    "finds the same process again under its id after a restart of the provider's programs",
    async (runtime) => {
      const id = `pr-${hex()}`;
      const script = "echo before; read x; echo after";
      await runtime.guest.processes.start(id, { ...command(script), stdinOpen: true }, signal());
      await suite.under().crash();
      await using again = suite.under().open();
      const attached = await again.attach(runtime.sandboxId, runtime.ref, signal());
      if (attached === undefined) throw new Error("the sandbox is gone");
      const { guest } = attached;
      expect(await guest.processes.get(id, signal())).toMatchObject({ id, state: "running" });
      await guest.processes.writeStdin(id, Buffer.from("\n"), 1_000, signal());
      expect(output(await collect(guest, id, 0, true))).toBe("before\nafter\n");
      await guest[Symbol.asyncDispose]();
    },
  );
};
