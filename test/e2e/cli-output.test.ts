import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launcher, runProgram } from "./cli-process.ts";
import { busyboxTar, startServer, type TestServer } from "./server.ts";
import { createTranscript } from "./transcript.ts";

const longReference = "registry.example.com/team/tools/python-with-everything-for-data-science:3.13.1-bookworm-slim";
let server: TestServer;
let tar = "";

beforeAll(async () => {
  server = await startServer();
  tar = busyboxTar(server.dataDir);
  writeFileSync(join(server.dataDir, "stacyvm.yaml"), `data_dir: ${server.dataDir}\n`);
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** Beside the server, with its configuration and nothing of this machine's. */
const beside = (env: Readonly<Record<string, string>> = {}) => ({
  cwd: server.dataDir,
  env: { STACYVM_SERVER: server.url, TZ: "UTC", NO_COLOR: "", FORCE_COLOR: "", ...env },
});
const start = (env?: Readonly<Record<string, string>>) =>
  createTranscript(beside(env), [
    [server.url, "http://127.0.0.1:7423"],
    [server.dataDir, "/data"],
    [`${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`, "linux/amd64"],
    [`"arch":"${process.arch === "x64" ? "amd64" : process.arch}"`, '"arch":"amd64"'],
  ]);

const golden = (name: string) => join(import.meta.dirname, "golden", `${name}.txt`);

test("sandboxes are made, listed, used and destroyed in the words on record", async () => {
  const { run, text } = start();
  await run("list");
  await run("list", "--json");
  const { stdout } = await run("spawn", "--ttl", "10m");
  const id = /sb-\w+/.exec(stdout)?.[0] ?? "";
  await run("exec", id, "--", "echo", "hello");
  await run("exec", id, "--", "printf", "[%s]\\n", "a  b", 'it"s', "$HOME", "--json", "--", "-v", "--help");
  await run("exec", id, "--json", "--", "sh", "-c", "echo out; echo err >&2; exit 3");
  await run("exec", id, "--", "sh", "-c", "kill -9 $$");
  await run("exec", id, "--timeout", "300ms", "--", "sleep", "60");
  await run("exec", id, "--timeout", "300ms", "--json", "--", "sh", "-c", "echo early; sleep 60");
  await run("list");
  await run("ls", "--json");
  await run("kill", id);
  await run("kill", id);
  await run("exec", id, "--json", "--", "true");
  await expect(text()).toMatchFileSnapshot(golden("sandboxes"));
});

test("what a sandbox is asked to be, and which are listed, in the words on record", async () => {
  const { run, text } = start();
  const file = join(server.dataDir, "env");
  writeFileSync(file, "# comment\n\nA=from file\nB=a=b # no comment\n");
  const flags = ["--env-from", file, "--env", "A=own", "--workdir", "/srv", "--user", "user", "--disk", "64"];
  const { stdout } = await run("spawn", "--name", "web", ...flags, "--label", "app=web", "--security", "default");
  const id = /sb-\w+/.exec(stdout)?.[0] ?? "";
  await run("exec", id, "--", "sh", "-c", 'echo "$A|$B"; pwd; id -un');
  await run("spawn", "--name", "web");
  await run("spawn", "--name", "web", "--get-or-create");
  await run("spawn", "--name", "web", "--get-or-create", "--json");
  const other = await run("spawn", "--idempotency-key", "once", "--label", "app=api", "--network", "none");
  await run("spawn", "--idempotency-key", "once", "--label", "app=api", "--network", "none");
  await run("spawn", "--idempotency-key", "once");
  await run("list");
  await run("list", "--label", "app", "--sort", "name");
  await run("list", "--label", "app=web", "--state", "running");
  await run("list", "--name", "nobody");
  await run("list", "--sort", "colour");
  await run("spawn", "--get-or-create");
  await run("spawn", "--env", "=x");
  await run("spawn", "--env-from", "/no/such/file");
  await run("spawn", "--security", "lax");
  await run("spawn", "--network", "host");
  await run("spawn", "--label", "app=no spaces");
  await run("kill", id);
  await run("kill", /sb-\w+/.exec(other.stdout)?.[0] ?? "");
  await expect(text()).toMatchFileSnapshot(golden("spawn"));
});

test("what a sandbox may reach, and what it tried, in the words on record", async () => {
  const { run, text } = start();
  const { stdout } = await run("spawn");
  const id = /sb-\w+/.exec(stdout)?.[0] ?? "";
  await run("network", id);
  await run("network", id, "--allow", "api.example.com:443", "--allow", "*.example.net", "--deny", "old.example.net");
  // Refused before a packet leaves, one for what it is, one for the policy.
  await run("exec", id, "--", "sh", "-c", "nc -w 2 10.9.9.9 80 </dev/null; nc -w 2 192.0.2.1 22 </dev/null");
  await run("network", id);
  await run("network", id, "--network", "none");
  await run("network", id, "--network", "open");
  await run("network", id, "--allow", "https://api.example.com");
  const closed = await run("spawn", "--network", "none");
  const closedId = /sb-\w+/.exec(closed.stdout)?.[0] ?? "";
  await run("network", closedId);
  await run("network", closedId, "--network", "public");
  await run("spawn", "--network", "none", "--allow", "api.example.com");
  await run("kill", id);
  await run("kill", closedId);
  await expect(text()).toMatchFileSnapshot(golden("network"));
});

test("images come in, are listed, used and removed in the words on record", async () => {
  const { run, text } = start();
  await run("image", "list");
  await run("image", "rm", "alpine:latest", "--json");
  await run("image", "ls");
  await run("image", "ls", "--json");
  await run("image", "import", longReference, tar);
  await run("image", "import", "alpine:latest", tar, "--json");
  await run("image", "list");
  const { stdout } = await run("spawn", "--image", longReference, "--json");
  const { id } = JSON.parse(stdout) as { id: string };
  await run("list");
  await run("image", "rm", longReference);
  await run("kill", id, "--json");
  await run("image", "rm", longReference);
  await expect(text()).toMatchFileSnapshot(golden("images"));
});

test("every failure says what helps, in the words on record", async () => {
  const { run, text } = start();
  await run();
  await run("lst");
  await run("lst", "--json");
  await run("list", "--jsn");
  await run("spawn", "--memory", "lots");
  await run("spawn", "--ttl", "soon");
  await run("spawn", "--image", "nowhere.invalid/a:b", "--provider", "nope");
  await run("exec", "sb-0000000000000000");
  await run("exec", "sb-0000000000000000", "ls", "-la");
  await run("exec", "sb-0000000000000000", "--env", "=x", "--", "true");
  await run("exec", "sb-0000000000000000", "--", "true");
  await run("list", "--server", "http://127.0.0.1:9");
  await run("list", "--server", "http://127.0.0.1:9", "--json");
  await run("image", "pull", "Not A Reference");
  await run("image", "pull", "127.0.0.1:9/a:b");
  await run("image", "pull", "127.0.0.1:9/a:b", "--json");
  await run("image", "import", "a:b", "/no/such/file");
  await run("image", "rm", "a:b");
  await run("image", "list", "--config", "none.yaml");
  await run("completion", "tcsh");
  await run("version");
  await run("version", "--json");
  await run("--version");
  await expect(text()).toMatchFileSnapshot(golden("failures"));
});

test("a server with a key says which option and variable hold it", async () => {
  await using locked = await startServer({ config: { "auth.api_key": "k".repeat(40) } });
  const list = (env: Readonly<Record<string, string>>) =>
    runProgram(launcher, ["--server", locked.url, "list"], { env: { STACYVM_API_KEY: "", ...env } });
  const without = await list({});
  expect(without).toMatchObject({ status: 1, stdout: "" });
  expect(without.stderr).toContain("--api-key <key>, or $STACYVM_API_KEY");
  expect((await list({ STACYVM_API_KEY: "k".repeat(40) })).stdout).toBe("No active sandboxes\n");
});

test("keys are made, listed and revoked in the words on record, and shown once", async () => {
  const adminKey = "a".repeat(40);
  await using locked = await startServer({
    config: { "auth.api_key": "k".repeat(40), "auth.admin_api_key": adminKey },
  });
  const { run, text } = createTranscript(
    { cwd: server.dataDir, env: { STACYVM_SERVER: locked.url, STACYVM_API_KEY: adminKey, TZ: "UTC", NO_COLOR: "1" } },
    [
      [/key-[0-9a-f]{16}/g, "key-0123456789abcdef"],
      [/svm_[\w-]{43}/g, `svm_${"x".repeat(43)}`],
      [/svm_[\w-]{8}(?=…|")/g, "svm_abcdefgh"],
      [/"revoked_at":"[^"]+"/g, '"revoked_at":"2026-01-02T03:04:05Z"'],
    ],
  );
  const tenants = `${locked.url}/api/v1/admin/tenants`;
  for (const [url, id] of [
    [tenants, "acme"],
    [`${tenants}/acme/projects`, "web"],
  ] as const) {
    const headers = { "x-api-key": adminKey };
    expect((await fetch(url, { method: "POST", headers, body: JSON.stringify({ id, name: id }) })).status).toBe(201);
  }
  await run("key", "list");
  const made = await run("key", "create", "ci", "--role", "operator", "--tenant", "acme", "--project", "web");
  expect(made.stdout).toMatch(/^svm_[\w-]{43}\n$/);
  const asJson = await run("key", "create", "screen", "--role", "viewer", "--json");
  const { api_key: second } = JSON.parse(asJson.stdout) as { api_key: { id: string } };
  const listed = await run("key", "list");
  await run("key", "ls", "--json");
  expect(listed.stdout).not.toContain(made.stdout.trim().slice(12));
  await run("key", "revoke", second.id);
  await run("key", "list");
  await run("key", "revoke", "key-none");
  await run("key", "create", "boss", "--role", "admin", "--tenant", "acme");
  await run("key", "create", "x", "--ttl", "soon");
  await run("key", "create", "x", "--role", "root");
  await run("key", "create");
  await run("key", "list", "--api-key", made.stdout.trim());
  await run("key", "list", "--api-key", "k".repeat(40));
  await expect(text()).toMatchFileSnapshot(golden("keys"));
});

/** On a terminal of its own; what it shows, line by line. */
const onTerminal = async (columns: number, words: string, env: Readonly<Record<string, string>> = {}) => {
  const line = `stty cols ${columns}; exec ${launcher} ${words}`;
  const { stdout } = await runProgram("script", ["--quiet", "--return", "--command", line, "/dev/null"], beside(env));
  return stdout.replaceAll("\r\n", "\n").trimEnd().split("\n");
};

test("a narrow terminal shortens names in the middle and keeps ids; a pipe gets them whole", async () => {
  const imported = await runProgram(launcher, ["image", "import", longReference, tar], beside());
  expect(imported.status).toBe(0);
  const spawned = await runProgram(launcher, ["spawn", "--image", longReference, "--json"], beside());
  const { id } = JSON.parse(spawned.stdout) as { id: string };
  const narrow = await onTerminal(80, "list");
  expect(narrow.map((line) => line.length <= 80)).toEqual([true, true]);
  expect(narrow[1]).toMatch(new RegExp(`^${id}  running  oci       registry\\S*…\\S+slim  \\d\\d:`));
  expect((await onTerminal(200, "list"))[1]).toContain(longReference);
  expect((await runProgram(launcher, ["list"], beside())).stdout).toContain(longReference);
  await runProgram(launcher, ["kill", id], beside());
});

test.each([{ NO_COLOR: "1" }, { FORCE_COLOR: "1", TERM: "xterm-256color" }])(
  "no escape sequence is printed, on a terminal or off it, with %j",
  async (env) => {
    for (const words of ["list", "lst", "--help"]) {
      const piped = await runProgram(launcher, words.split(" "), beside(env));
      const seen = [piped.stdout, piped.stderr, ...(await onTerminal(80, words, env))].join("\n");
      expect(seen.length).toBeGreaterThan(10);
      expect(seen).not.toContain("\u001b");
    }
  },
);

test("an output that can't be written is a failure without a stack", async () => {
  const full = ["-c", 'exec "$@" > /dev/full', "sh", launcher, "version"];
  expect(await runProgram("sh", full)).toEqual({
    status: 1,
    stdout: "",
    stderr: "the output can't be written: ENOSPC: no space left on device, write\n",
  });
});
