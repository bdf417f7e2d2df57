import { afterAll, beforeAll, expect, test } from "vitest";
import { launcher, runProgram, systemNode } from "./cli-process.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const stacyvm = (args: readonly string[], stdin?: string) =>
  runProgram(launcher, ["--server", server.url, ...args], stdin === undefined ? {} : { stdin });

test("spawn, list, exec and kill print what people and scripts know", async () => {
  expect((await stacyvm(["list"])).stdout).toBe("No active sandboxes\n");
  const spawned = await stacyvm(["spawn", "--ttl", "10m"]);
  const id = /^Sandbox (sb-[0-9a-f]{16}) spawned \(provider: oci, image: alpine:latest\)\n$/.exec(spawned.stdout)?.[1];
  expect(id, JSON.stringify(spawned)).toBeDefined();
  const at = id ?? "";

  const listed = (await stacyvm(["list"])).stdout.split("\n");
  expect(listed[0]).toMatch(/^ID +STATE +PROVIDER +IMAGE +CREATED +EXPIRES$/);
  expect(listed[1]).toMatch(
    new RegExp(`^${at}  running  oci       alpine:latest  \\d\\d:\\d\\d:\\d\\d  \\d\\d:\\d\\d:\\d\\d$`),
  );

  await stacyvm(["spawn", "--ttl", "24h"]);
  expect((await stacyvm(["list"])).stdout).toMatch(/ {2}\d\d:\d\d:\d\d {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n/);

  expect(await stacyvm(["exec", at, "--", "echo", "hello"])).toEqual({ status: 0, stdout: "hello\n", stderr: "" });
  // Each word arrives as it is: no shell reads it.
  const words = ["a  b", "it's", "$HOME", "-n", "line\nbreak", '"q"'];
  expect((await stacyvm(["exec", at, "--", "printf", "%s|", ...words])).stdout).toBe(
    words.map((w) => `${w}|`).join(""),
  );
  expect((await stacyvm(["exec", "--shell", at, "--", "echo $((6 * 7))"])).stdout).toBe("42\n");
  expect((await stacyvm(["exec", "-i", at, "--", "cat"], "piped\n")).stdout).toBe("piped\n");
  expect(await stacyvm(["exec", at, "--", "sh", "-c", "echo out; echo err >&2; exit 7"])).toEqual({
    status: 7,
    stdout: "out\n",
    stderr: "err\n",
  });
  expect(
    (await stacyvm(["exec", at, "--env", "A=1 2", "--workdir", "/tmp", "--", "sh", "-c", "echo $A; pwd"])).stdout,
  ).toBe("1 2\n/tmp\n");
  expect((await stacyvm(["exec", at, "--", "no-such-program"])).status).toBe(127);

  expect(await stacyvm(["kill", at])).toEqual({ status: 0, stdout: `Sandbox ${at} destroyed\n`, stderr: "" });
});

test("--json gives one document, failures included", async () => {
  const spawned = await stacyvm(["spawn", "--json"]);
  const { id } = JSON.parse(spawned.stdout) as { id: string };
  const ran = await stacyvm(["--json", "exec", id, "--", "sh", "-c", "echo x; exit 3"]);
  expect([ran.status, JSON.parse(ran.stdout)]).toMatchObject([3, { exit_code: 3, stdout: "x\n" }]);
  const all = JSON.parse((await stacyvm(["ls", "--json"])).stdout) as { id: string }[];
  expect(all.map((each) => each.id)).toContain(id);
  await stacyvm(["kill", id]);
  const missing = await stacyvm(["--json", "kill", "sb-0000000000000000"]);
  expect([missing.status, JSON.parse(missing.stderr)]).toMatchObject([1, { error: { reason: "sandbox_not_found" } }]);
});

test("what can't be done is said without a stack, with status 1, and misuse with status 2", async () => {
  const nowhere = await runProgram(launcher, ["--server", "http://127.0.0.1:9", "list"]);
  expect(nowhere).toMatchObject({ status: 1, stdout: "" });
  expect(nowhere.stderr).toContain("Cannot connect to StacyVM server at http://127.0.0.1:9");
  expect(nowhere.stderr).not.toContain("    at ");
  const binary = await runProgram(launcher, ["exec", "-i", "sb-1", "--", "cat"], { stdin: Uint8Array.of(0x50, 0xff) });
  expect(binary).toEqual({ status: 1, stdout: "", stderr: "the input is not UTF-8 text; upload it as a file\n" });
  expect((await stacyvm(["exec", "sb-1"])).stderr).toContain(
    "no command specified; use: stacyvm exec <id> -- <command>",
  );
  const unknown = await stacyvm(["lst"]);
  expect(unknown).toMatchObject({ status: 2 });
  expect(unknown.stderr).toMatch(/unknown command 'lst'[\s\S]*Did you mean one of list, ls\?/);
  expect(await stacyvm(["spawn", "--memory", "lots"])).toMatchObject({ status: 2 });
});

test("the launcher works under the machine's own Node", async () => {
  const { stdout, status } = await runProgram(systemNode, [launcher, "version"]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^stacyvm v\d+\.\d+\.\d+ \(linux\/(amd64|arm64)\)\n$/);
});
