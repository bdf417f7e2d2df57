import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launcher, type RunOptions, runProgram } from "./cli-process.ts";
import { startServer, type TestServer } from "./server.ts";
import { openTerminal } from "./terminal.ts";
import { createTranscript } from "./transcript.ts";

const value = "sk-live-0123456789";
let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.[Symbol.asyncDispose]());

const options = (more: RunOptions = {}): RunOptions => ({
  cwd: server.dataDir,
  ...more,
  env: { STACYVM_SERVER: server.url, TZ: "UTC", NO_COLOR: "1", ...more.env },
});
const set = (name: string, words: readonly string[], more?: RunOptions) =>
  runProgram(launcher, ["secret", "set", name, "--host", "api.example.com", ...words], options(more));
const versionOf = async (name: string): Promise<number | undefined> => {
  const answer = await fetch(`${server.url}/api/v1/secrets`);
  const { secrets } = (await answer.json()) as { secrets: { name: string; version: number }[] };
  return secrets.find((one) => one.name === name)?.version;
};

test("secrets are set, listed, deleted and encrypted anew in the words on record, and no value is in them", async () => {
  writeFileSync(join(server.dataDir, "value"), `${value}\n`);
  writeFileSync(join(server.dataDir, "empty"), "\n");
  writeFileSync(join(server.dataDir, "long"), "x".repeat(40_000));
  writeFileSync(join(server.dataDir, "two"), `${value}\nand more\n`);
  const { run, text } = createTranscript(options({ stdin: `${value}\n`, env: { API_KEY: value, EMPTY: "" } }), [
    [server.url, "http://127.0.0.1:7423"],
    [/"updated_at":"[^"]+"/g, '"updated_at":"2026-01-02T03:04:05Z"'],
  ]);
  await run("secret", "list");
  await run("secret", "set", "API_KEY", "--host", "API.example.com");
  await run(
    "secret",
    "set",
    "API_KEY",
    "--host",
    "api.example.com",
    "--host",
    "b.test:8443",
    "--owner",
    "ann",
    "--json",
  );
  await run("secret", "set", "FROM_FILE", "--host", "b.test", "--from-file", "value");
  await run(
    "secret",
    "set",
    "FROM_ENV",
    "--host",
    "b.test",
    "--owner",
    "ann",
    "--owner",
    "bob",
    "--from-env",
    "API_KEY",
  );
  await run("secret", "list");
  await run("secret", "ls", "--json");
  await run("secret", "set", "API_KEY");
  await run("secret", "set", "API_KEY", value, "--host", "b.test");
  await run("secret", "set", "API-KEY", "--host", "b.test");
  await run("secret", "set", "API_KEY", "--host", "*.example.com");
  await run("secret", "set", "API_KEY", "--host", "b.test", "--from-env", "EMPTY");
  await run("secret", "set", "API_KEY", "--host", "b.test", "--from-env", "NONE");
  for (const file of ["none", "images", "empty", "long", "two"]) {
    await run("secret", "set", "API_KEY", "--host", "b.test", "--from-file", file);
  }
  await run("secret", "set", "API_KEY", "--host", "b.test", "--from-file", "value", "--from-env", "API_KEY");
  await run("secret", "rm", "FROM_ENV");
  await run("secret", "rm", "FROM_ENV");
  await run("secret", "rm", "FROM_FILE", "--json");
  await run("secret", "rotate");
  await run("secret", "rotate", "--json");
  await run("secret", "list");
  expect(text().replace(`stacyvm secret set API_KEY ${value} --host`, "")).not.toContain(value);
  await expect(text()).toMatchFileSnapshot(join(import.meta.dirname, "golden", "secrets.txt"));
});

test.each([
  ["with the newline of an editor", `${value}\n`, 0, ""],
  ["with the newline of Windows", `${value}\r\n`, 0, ""],
  ["without one", value, 0, ""],
  ["with an empty line behind it", `${value}\n\n`, 1, "ends in a newline"],
  ["of two lines", `${value}\n${value}\n`, 1, "more than one line"],
  ["that is empty", "\n", 1, "no value was given"],
  ["that is too long", "x".repeat(40_000), 1, "a value has 32770 bytes at most"],
])("a value from standard input %s is taken whole or refused", async (_name, stdin, status, says) => {
  const before = (await versionOf("PIPED")) ?? 0;
  const ran = await set("PIPED", [], { stdin });
  expect([ran.status, ran.stderr]).toEqual([status, expect.stringContaining(says)]);
  expect(ran.stdout + ran.stderr).not.toContain(value);
  expect((await versionOf("PIPED")) ?? 0).toBe(status === 0 ? before + 1 : before);
});

test("a value that is typed is not seen, and Ctrl-C sets nothing", async () => {
  using terminal = openTerminal(() => server.url, { cols: 120 });
  await terminal.prompt();
  terminal.stacyvm("secret", "set", "TYPED", "--host", "api.example.com");
  await terminal.until("Value:");
  terminal.type(value.slice(0, 8));
  terminal.key("C-c");
  await terminal.prompt();
  expect(await versionOf("TYPED")).toBeUndefined();
  terminal.line("clear");
  terminal.stacyvm("secret", "set", "TYPED", "--host", "api.example.com");
  await terminal.until("Value:");
  terminal.type(value);
  terminal.key("Enter");
  await terminal.until("TYPED is set, version 1");
  expect(terminal.screen()).not.toContain(value.slice(0, 8));
  expect(await versionOf("TYPED")).toBe(1);
});
