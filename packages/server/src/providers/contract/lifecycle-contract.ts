import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import { bytes, type ProviderSuite, sh, shell, signal, until } from "./suite.testing.ts";

/** All that a process printed, once it has ended. */
const outputOf = async (guest: Guest, id: string): Promise<string> => {
  let all = "";
  for await (const event of guest.processes.attach(id, { offset: 0, follow: true }, signal())) {
    if (event.type === "output") all += Buffer.from(event.data).toString();
  }
  return all;
};

/** Attach, destroy, reap, and what is left. */
export const lifecycleContract = (suite: ProviderSuite): void => {
  suite.test("is found and attached to by a new instance after a crash of the old one", async () => {
    const made = await suite.provider().spawn(suite.spec({ generation: 5 }), signal());
    await made.guest.writeFile("/workspace/kept", bytes("kept"), {}, signal());
    await suite.under().crash();
    const again = suite.under().open();
    const found = (await again.list(signal())).find((one) => one.sandboxId === made.sandboxId);
    // What a removal of images asks, so that no tree goes under a sandbox.
    const rootfsPath = again.capabilities.needsImage ? suite.under().image?.rootfsPath : "";
    expect(found).toMatchObject({ alive: true, generation: 5, ref: made.ref, rootfsPath });
    const attached = await again.attach(made.sandboxId, made.ref, signal());
    if (!attached) throw new Error("not attached");
    expect((await sh(attached.guest, "cat /workspace/kept")).out).toBe("kept");
    await attached.destroy(signal());
    expect(await again.attach(made.sandboxId, made.ref, signal())).toBeUndefined();
    await made.guest[Symbol.asyncDispose]();
  });

  suite.test(
    "of a server that died mid-stream is taken up by the next one, which finds processes and no half files",
    async () => {
      const made = await suite.provider().spawn(suite.spec(), signal());
      const { guest } = made;
      const id = `pr-${randomBytes(8).toString("hex")}`;
      const argv = shell("while read x; do echo got $x; done");
      await guest.processes.start(id, { argv, stdinOpen: true }, signal());
      await guest.processes.writeStdin(id, bytes("one\n"), 1_000, signal());
      const watched = outputOf(guest, id);
      const lost: Promise<unknown>[] = [watched];
      await new Promise<void>((streaming, failed) => {
        const exec = async (): Promise<void> => {
          for await (const event of guest.exec({ argv: shell("exec yes") }, signal())) {
            if (event.type === "output") streaming();
          }
        };
        lost.push(exec());
        lost.at(-1)?.catch(failed);
      });
      await new Promise<void>((uploading) => {
        let sent = 0;
        const endless = new Readable({
          read() {
            sent += 64 * 1024;
            if (sent > 4 * 1024 * 1024) uploading();
            this.push(Buffer.alloc(64 * 1024, "x"));
          },
        });
        lost.push(guest.writeFile("/workspace/half", endless, {}, signal()));
      });
      const failures = Promise.allSettled(lost);
      // What the kernel does for a process that is killed.
      await guest[Symbol.asyncDispose]();
      await suite.under().crash();
      for (const failure of await failures) {
        expect(failure).toMatchObject({ status: "rejected", reason: { reason: "guest_unreachable" } });
      }
      await using again = suite.under().open();
      const attached = await again.attach(made.sandboxId, made.ref, signal());
      if (!attached) throw new Error("not attached");
      const next = attached.guest;
      const half = { reason: "file_not_found" };
      await expect(next.stat("/workspace/half", signal())).rejects.toMatchObject(half);
      // The command was the call's alone; the process is nobody's.
      const running = async () => (await next.processes.list(signal())).filter(({ state }) => state === "running");
      expect((await until(running, (all) => all.length === 1)).map((one) => one.id)).toEqual([id]);
      await next.processes.writeStdin(id, bytes("two\n"), 1_000, signal());
      await next.closeStdin(id, signal());
      expect(await outputOf(next, id)).toBe("got one\ngot two\n");
      await attached.destroy(signal());
    },
  );

  suite.test("destroys twice without complaint, and reaps what has died by itself", async () => {
    const twice = await suite.provider().spawn(suite.spec(), signal());
    await twice.destroy(signal());
    await twice.destroy(signal());
    const dead = await suite.provider().spawn(suite.spec(), signal());
    const { end = async () => process.kill(Number(dead.ref.data.pid), "SIGKILL") } = suite.under();
    await end(dead);
    const own = async () => (await suite.provider().list(signal())).find((one) => one.sandboxId === dead.sandboxId);
    expect((await until(own, (one) => one?.alive === false))?.alive).toBe(false);
    expect(await suite.provider().attach(dead.sandboxId, dead.ref, signal())).toBeUndefined();
    await suite.provider().reap(dead.sandboxId, signal());
    expect(await own()).toBeUndefined();
    await dead.guest[Symbol.asyncDispose]();
  });

  suite.test("leaves nothing of a spawn that was withdrawn", async () => {
    const away = new AbortController();
    const spawning = suite.provider().spawn(suite.spec(), away.signal);
    away.abort();
    await expect(spawning).rejects.toThrow();
    expect(await suite.provider().list(signal())).toHaveLength(suite.runtimes.size);
  });

  suite.test("shows the console of a living sandbox, and an empty one of a sandbox that is gone", async () => {
    const runtime = await suite.provider().spawn(suite.spec(), signal());
    // Nothing inside can write there: the first process keeps its descriptors to itself.
    await sh(runtime.guest, "for fd in 1 2; do echo forged 2>/dev/null >/proc/1/fd/$fd; done");
    expect(await runtime.consoleLog(10)).toEqual([]);
    await runtime.destroy(signal());
    expect(await runtime.consoleLog(10)).toEqual([]);
  });
};
