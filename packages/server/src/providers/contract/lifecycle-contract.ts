import { expect } from "vitest";
import { bytes, type ProviderSuite, sh, signal, until } from "./suite.testing.ts";

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
