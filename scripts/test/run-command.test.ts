import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runCommand } from "./run-command.ts";

const options = { cwd: import.meta.dirname, timeoutMs: 60_000, signal: new AbortController().signal };
const node = (source: string): readonly string[] => [process.execPath, "-e", source];
/** A dead process that nobody has waited for yet still has a number. */
const alive = (pid: number): boolean => {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
};
const leavesGrandchild = `
  const child = require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" });
  child.once("spawn", () => console.log(child.pid))`;

test("output of both streams is kept and a zero status is ok", async () => {
  const result = await runCommand(node("console.log('out'); console.error('err')"), options);
  expect(result.ok).toBe(true);
  expect(result.output).toContain("out");
  expect(result.output).toContain("err");
});

test("a non-zero status, a death by signal and a missing command are not ok", async () => {
  expect(await runCommand(node("process.exit(3)"), options)).toMatchObject({ ok: false });
  expect(await runCommand(node("process.kill(process.pid, 'SIGKILL')"), options)).toMatchObject({ ok: false });
  expect(await runCommand(["/nonexistent/command"], options)).toMatchObject({
    ok: false,
    output: expect.stringContaining("ENOENT"),
  });
});

test("what a command leaves running dies with it and doesn't hold the pipes", async () => {
  const { ok, output } = await runCommand(
    node(`${leavesGrandchild}; child.unref(); setTimeout(() => process.exit(0), 200)`),
    options,
  );
  expect(ok).toBe(true);
  await expect.poll(() => alive(Number(output.trim()))).toBe(false);
});

test("at the deadline the whole group is killed and the command has failed", async () => {
  const { ok, output } = await runCommand(node(leavesGrandchild), { ...options, timeoutMs: 1000 });
  expect(ok).toBe(false);
  expect(output).toContain("killed after 1 s");
  await expect.poll(() => alive(Number.parseInt(output, 10))).toBe(false);
});

test("an abort ends the command", async () => {
  const stop = new AbortController();
  const running = runCommand(node("setInterval(() => {}, 1000)"), { ...options, signal: stop.signal });
  stop.abort();
  expect(await running).toMatchObject({ ok: false });
});
