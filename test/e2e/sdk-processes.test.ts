import { Client, type ProcessEvent, type Sandbox, SandboxNotFoundError } from "stacyvm";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
let sandbox: Sandbox;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true" } });
  sandbox = await new Client(server.url).spawn({ provider: "mock" });
});
afterAll(async () => {
  await sandbox.destroy();
  await server[Symbol.asyncDispose]();
});

const textOf = (events: readonly ProcessEvent[]): string =>
  Buffer.concat(events.flatMap((event) => (event.type === "output" ? [event.data] : []))).toString();

test("a process is started, fed, followed to its exit, and found again by its id", async () => {
  const one = await sandbox.processes.start("cat; exit 3", { stdin: true, tag: "mine", env: { A: "1" } });
  const following = Array.fromAsync(one.output());
  const writer = one.stdin.getWriter();
  await writer.write("a\n");
  await writer.write(Uint8Array.from([0, 255]));
  await writer.close();
  expect(await one.wait()).toMatchObject({ exit_code: 3, timed_out: false });
  const events = await following;
  expect(events.at(-1)).toMatchObject({ type: "exit", exit: { exit_code: 3 } });
  const again = await sandbox.processes.get(one.id);
  expect(again.info).toMatchObject({ state: "exited", tag: "mine" });
  const replay = await Array.fromAsync(sandbox.processes.attach(one.id, { offset: 2 }));
  expect(replay).toMatchObject([{ offset: 2, replayed: true }, { type: "live", offset: 4 }, { type: "exit" }]);
  expect(replay[0]).toMatchObject({ data: Uint8Array.from([0, 255]) });
  expect((await sandbox.processes.list()).map(({ id }) => id)).toContain(one.id);
});

test("the mode always stands in the request: argv reaches no shell", async () => {
  const one = await sandbox.processes.start("printf", { mode: "argv", args: ["%s|", "$HOME", "a\nb"] });
  expect(textOf(await Array.fromAsync(one.output()))).toBe("$HOME|a\nb|");
  expect(one.info.argv).toEqual(["printf", "%s|", "$HOME", "a\nb"]);
  expect((await sandbox.processes.start("true")).info.argv).toEqual(["sh", "-c", "true"]);
});

test("leaving the loop leaves the process alone, and the rest is there later", async () => {
  const one = await sandbox.processes.start("printf abc; read x; printf def", { stdin: true });
  let next = 0;
  for await (const event of one.output()) {
    if (event.type === "output") next = event.offset + event.data.length;
    if (next === 3) break;
  }
  expect((await one.refresh()).info.state).toBe("running");
  await one.write("\n");
  await one.wait();
  expect(textOf(await Array.fromAsync(one.output({ offset: next })))).toBe("def");
  expect(textOf(await Array.fromAsync(one.output({ follow: false })))).toBe("abcdef");
});

test("the loop ends at the exit while what was started lives on, or goes on to its end", async () => {
  const one = await sandbox.processes.start("(while ! test -e /tmp/on; do sleep 0.02; done; echo later) & echo now");
  expect(textOf(await Array.fromAsync(one.output()))).toBe("now\n");
  const whole = Array.fromAsync(one.output({ pastExit: true }));
  await sandbox.exec("touch /tmp/on");
  expect(textOf(await whole)).toBe("now\nlater\n");
});

test("a terminal has a size, takes another, and ends at the end of input", async () => {
  const one = await sandbox.processes.start("stty size; read x; stty size; cat", { pty: { cols: 91, rows: 33 } });
  await vi.waitFor(async () => expect(textOf(await Array.fromAsync(one.output({ follow: false })))).toContain("33 91"));
  await one.resize({ cols: 120, rows: 40 });
  const writer = one.stdin.getWriter();
  await writer.write("\n");
  await vi.waitFor(async () =>
    expect(textOf(await Array.fromAsync(one.output({ follow: false })))).toContain("40 120"),
  );
  await writer.close();
  expect((await one.wait()).exit_code).toBe(0);
});

test("a wait has its time, a signal ends it, and a process that isn't there is not found", async () => {
  const one = await sandbox.processes.start("exec sleep 74");
  await expect(one.wait({ timeoutMs: 30 })).rejects.toMatchObject({ code: "TIMEOUT" });
  const waiting = one.wait();
  await one.signal("SIGTERM");
  expect(await waiting).toMatchObject({ exit_code: 143, signal: 15 });
  expect(one.exit).toMatchObject({ exit_code: 143 });
  const missing = sandbox.processes.get("pr-0000000000000000");
  await expect(missing).rejects.toBeInstanceOf(SandboxNotFoundError);
  await expect(missing).rejects.toMatchObject({ reason: "process_not_found" });
});
