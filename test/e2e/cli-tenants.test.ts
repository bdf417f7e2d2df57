import { join } from "node:path";
import pino from "pino";
import { Client, type CreatedApiKey } from "stacyvm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launcher, type Run, type RunOptions, runProgram } from "./cli-process.ts";
import { startServer, type TestServer } from "./server.ts";
import { openTerminal } from "./terminal.ts";
import { createTranscript } from "./transcript.ts";

const adminKey = "a".repeat(40);
let server: TestServer;
let admin: Client;

beforeAll(async () => {
  // A change of settings wakes a silent log up.
  const log = pino({ level: "info" }, { write: () => {} });
  const config = { "auth.admin_api_key": adminKey, "server.secrets_key": "e".repeat(40) };
  server = await startServer({ config, log });
  admin = new Client({ baseUrl: server.url, adminApiKey: adminKey });
});
afterAll(() => server?.[Symbol.asyncDispose]());

const asAdmin = (more: Omit<RunOptions, "env"> & { readonly env?: Readonly<Record<string, string>> } = {}) => ({
  cwd: server.dataDir,
  ...more,
  env: { STACYVM_SERVER: server.url, STACYVM_API_KEY: adminKey, TZ: "UTC", NO_COLOR: "1", ...more.env },
});
const start = (options: RunOptions = asAdmin()) =>
  createTranscript(options, [
    [server.url, "http://127.0.0.1:7423"],
    [/svm_[\w-]{43}/g, `svm_${"x".repeat(43)}`],
    [/"updated_at":"[^"]+"/g, '"updated_at":"2026-01-02T03:04:05Z"'],
  ]);
const stacyvm = (...words: readonly string[]): Promise<Run> => runProgram(launcher, words, asAdmin());
const golden = (name: string) => join(import.meta.dirname, "golden", `${name}.txt`);
const keyOf = async (role: "operator" | "tenant_admin", tenant_id?: string, project_id?: string) =>
  (await admin.apiKeys.create(role, { role, tenant_id, project_id })).key;

test("tenants, projects and members are governed in the words on record", async () => {
  const { run, text } = start();
  await run("tenant", "list");
  await run("tenant", "create", "acme", "--name", "Acme Inc.", "--owner", "ann", "--settings", '{"tier":"gold"}');
  await run("tenant", "create", "rival", "--json");
  await run("tenant", "create", "rival");
  await run("tenant", "create", "a/b");
  await run("tenant", "create", "x", "--settings", "gold");
  await run("tenant", "create");
  await run("tenant", "list");
  await run("tenant", "ls", "--json");
  await run("tenant", "update", "rival", "--name", "The Rivals");
  await run("tenant", "update", "rival");
  await run("project", "list", "--tenant", "acme");
  await run("project", "create", "web", "--name", "The website", "--tenant", "acme");
  await run("project", "create", "web", "--tenant", "acme");
  await run("project", "create", "web");
  await run("project", "create", "web", "--tenant", "none");
  await run("project", "list", "--tenant", "acme");
  await run("project", "ls", "--tenant", "acme", "--json");
  await run("member", "list", "--tenant", "acme");
  await run("member", "add", "ann", "--role", "operator", "--tenant", "acme");
  await run("member", "add", "bob", "--role", "admin", "--tenant", "acme", "--issuer", "https://login.example.com");
  await run("member", "add", "carl", "--role", "viewer", "--tenant", "acme", "--project", "web");
  await run("member", "add", "ann", "--role", "viewer", "--tenant", "acme", "--json");
  await run("member", "add", "ann", "--role", "king", "--tenant", "acme");
  await run("member", "add", "ann", "--tenant", "acme");
  await run("member", "add", "ann", "--role", "viewer", "--tenant", "acme", "--project", "none");
  await run("member", "list", "--tenant", "acme");
  await run("member", "list", "--tenant", "acme", "--project", "web", "--json");
  await run("tenant", "show", "acme");
  await run("tenant", "show", "rival", "--json");
  await run("tenant", "show", "none");
  await run("tenant", "show");
  await run("tenant", "show", "--tenant", "acme", "--project", "web");
  await run("member", "remove", "carl", "--tenant", "acme");
  await run("member", "remove", "carl", "--tenant", "acme", "--project", "web");
  await run("member", "rm", "bob", "--tenant", "acme", "--issuer", "https://login.example.com", "--json");
  const key = await keyOf("operator", "acme", "web");
  await run("project", "delete", "web", "--tenant", "acme");
  await run("tenant", "delete", "acme");
  await run("tenant", "delete", "acme", "--json");
  await run("tenant", "show", "--api-key", key);
  await run("tenant", "list", "--api-key", key);
  await run("project", "create", "other", "--api-key", key);
  await run("tenant", "delete", "acme", "--cascade");
  await run("tenant", "delete", "acme", "--cascade");
  await run("tenant", "rm", "rival", "--json");
  await expect(text()).toMatchFileSnapshot(golden("tenants"));
});

test("an administrator of a tenant governs it without naming it, whatever project the shell is in", async () => {
  await admin.tenants.create("Acme", { id: "acme" });
  const env = { STACYVM_API_KEY: await keyOf("tenant_admin", "acme") };
  const run = async (words: string, more: Readonly<Record<string, string>> = {}) => {
    const { status, stdout, stderr } = await runProgram(
      launcher,
      words.split(" "),
      asAdmin({ env: { ...env, ...more } }),
    );
    expect([words, status, stderr]).toEqual([words, 0, ""]);
    return stdout;
  };
  expect(await run("project create web")).toBe("Project web of acme created\n");
  const inWeb = { STACYVM_PROJECT: "web" };
  expect(await run("project create ml", inWeb)).toBe("Project ml of acme created\n");
  expect(await run("member add dora --role operator", inWeb)).toBe("dora is operator in project web of acme\n");
  expect(await run("member add dora --role viewer")).toBe("dora is viewer in acme\n");
  expect(await run("tenant show")).toMatch(/^Tenant: +acme\n[\s\S]*Your role: +tenant_admin\n/);
  expect(await run("project delete ml", inWeb)).toBe("Project ml deleted\n");
  expect(await run("project delete web")).toBe("Project web deleted\n");
  expect((await admin.tenants.members("acme").list()).map(({ user_id, role }) => [user_id, role])).toEqual([
    ["dora", "viewer"],
  ]);
  await admin.tenants.delete("acme", { cascade: true });
});

test("an administrator of a tenant makes, lists and revokes the keys of its programs, and no others", async () => {
  await admin.tenants.create("Acme", { id: "acme" });
  await admin.tenants.projects("acme").create("Web", { id: "web" });
  const { api_key: foreign } = await admin.apiKeys.create("server's");
  const env = { STACYVM_API_KEY: await keyOf("tenant_admin", "acme"), STACYVM_TENANT: "acme" };
  const run = (...words: readonly string[]) => runProgram(launcher, ["key", ...words], asAdmin({ env }));
  const made = await run("create", "ci", "--own", "--role", "operator", "--project", "web", "--ttl", "1h", "--json");
  const { api_key, key } = JSON.parse(made.stdout) as CreatedApiKey;
  expect(api_key).toMatchObject({ name: "ci", role: "operator", tenant_id: "acme", project_id: "web" });
  const ci = new Client({ baseUrl: server.url, apiKey: key });
  expect(await ci.list()).toEqual([]);
  const listed = await run("list", "--own");
  expect([listed.status, listed.stdout]).toEqual([0, expect.stringContaining(api_key.id)]);
  expect(listed.stdout).not.toContain(foreign.id);
  for (const [words, says] of [
    [["revoke", foreign.id, "--own"], "stacyvm key list, or with --own your own"],
    [["create", "boss", "--own", "--role", "admin"], "a key may be no more than its maker"],
    [["list"], "required authorization scope missing"],
  ] as const)
    expect(await run(...words)).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining(says) });
  expect((await run("revoke", api_key.id, "--own")).stdout).toBe(`${api_key.id} (ci) revoked\n`);
  await expect(ci.list()).rejects.toMatchObject({ statusCode: 401 });
  await admin.apiKeys.revoke(foreign.id);
  await admin.tenants.delete("acme", { cascade: true });
});

test("a tenant goes with its sandboxes where that was asked for", async () => {
  await admin.tenants.create("Full", { id: "full" });
  const operator = new Client({ baseUrl: server.url, apiKey: await keyOf("operator", "full") });
  const { id } = await operator.spawn({ ttl: "10m" });
  expect(await stacyvm("tenant", "delete", "full")).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/still has 1 sandboxes, 0 templates and 1 API keys\n[\s\S]*--cascade/),
  });
  expect((await operator.get(id)).state).toBe("running");
  expect(await stacyvm("tenant", "delete", "full", "--cascade")).toMatchObject({
    status: 0,
    stdout: "Tenant full deleted with all that was in it\n",
  });
  await expect(admin.tenants.get("full")).rejects.toMatchObject({ reason: "tenant_not_found" });
});

test("registry credentials are given, listed and deleted in the words on record, and no password is shown", async () => {
  await admin.tenants.create("Acme", { id: "acme" });
  const { run, text } = start(asAdmin({ stdin: "hunter2 is my password\n", env: { STACYVM_TENANT: "acme" } }));
  await run("registry-credential", "list");
  await run("registry-credential", "set", "registry.example.com:5000", "--username", "robot");
  await run("registry-credential", "set", "docker.io", "--username", "acme", "--json");
  await run("registry-credential", "list");
  await run("registry-credential", "ls", "--json");
  await run("registry-credential", "set", "docker.io");
  await run("registry-credential", "set", "Not A Host", "--username", "robot");
  await run("registry-credential", "set", "docker.io", "--username", "ro:bot");
  await run("registry-credential", "rm", "docker.io");
  await run("registry-credential", "rm", "docker.io");
  await run("registry-credential", "list", "--tenant", "");
  await run("registry-credential", "list", "--api-key", await keyOf("operator", "acme"));
  expect(text()).not.toContain("hunter2");
  await expect(text()).toMatchFileSnapshot(golden("registry-credentials"));

  const set = (stdin: string | Uint8Array) =>
    runProgram(
      launcher,
      ["registry-credential", "set", "docker.io", "--username", "robot", "--tenant", "acme"],
      asAdmin({ stdin }),
    );
  for (const [stdin, words] of [
    ["", "no password was given"],
    ["\n", "no password was given"],
    ["two\nlines\n", "holds no control characters"],
    ["x".repeat(5_000), "4096"],
    ["x".repeat(20_000), "a password has 16384 bytes at most"],
  ] as const) {
    expect(await set(stdin)).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining(words) });
  }
  await admin.tenants.delete("acme", { cascade: true });
});

test("a password that is typed is not shown, and can be mended and given up", async () => {
  await admin.tenants.create("Acme", { id: "acme" });
  const ask = async (typed: string) => {
    const terminal = openTerminal(() => server.url);
    const words = ["registry-credential", "set", "docker.io", "--username", "robot"];
    terminal.stacyvm("--api-key", adminKey, "--tenant", "acme", ...words);
    await terminal.until("Password:");
    terminal.type(typed);
    return terminal;
  };
  using mended = await ask("hunter2x");
  mended.key("BSpace");
  mended.key("Enter");
  await mended.until("Images of docker.io are pulled as robot");
  expect(mended.screen()).not.toContain("hunter");
  using givenUp = await ask("hunter2");
  givenUp.key("C-c");
  await givenUp.prompt();
  givenUp.line("echo status $?");
  await givenUp.until("status 130");
  expect(givenUp.screen()).not.toContain("hunter");
  await admin.tenants.delete("acme", { cascade: true });
});

test("settings of the running server are shown and changed in the words on record", async () => {
  const { run, text } = start();
  await run("config", "show");
  await run("config", "set", "defaults.max_ttl=2h", "Rate_Limit.Burst=50");
  await run("config", "show");
  await run("config", "show", "--json");
  await run("config", "set", "defaults.max_ttl=soon", "defaults.vcpus=4", "server.port=1", "defaults.max_tll=1h");
  await run("config", "set", "defaults.max_ttl");
  await run("config", "set");
  await run("config", "set", "defaults.max_ttl=24h", "rate_limit.burst=100", "--json");
  await run("config", "show", "--api-key", await keyOf("operator"));
  await expect(text()).toMatchFileSnapshot(golden("config"));
});

test("names that are too long for a terminal are cut at their end; a pipe gets them whole", async () => {
  const long = "department-of-".repeat(8);
  await admin.tenants.create(`The ${long}`, { id: long, owner_id: "ann@example.com" });
  await admin.tenants.projects(long).create(`Website of the ${long}`, { id: `web-${long}` });
  await admin.tenants.members(long).save(`${long}|ann`, "operator", { issuer: `https://${long}.example.com` });
  const credentials = new Client({ baseUrl: server.url, adminApiKey: adminKey, tenant: long }).ownTenant
    .registryCredentials;
  await credentials.save(`registry.${"x".repeat(100)}.example.com`, `robot-of-${long}`, "x");
  const narrow = async (...words: readonly string[]) => {
    const line = `stty cols 80; exec ${launcher} ${words.join(" ")}`;
    const ran = await runProgram("script", ["--quiet", "--return", "--command", line, "/dev/null"], asAdmin());
    return ran.stdout.replaceAll("\r\n", "\n").trimEnd().split("\n");
  };
  for (const words of [
    ["tenant", "list"],
    ["project", "list", "--tenant", long],
    ["member", "list", "--tenant", long],
    ["registry-credential", "list", "--tenant", long],
  ]) {
    const lines = await narrow(...words);
    expect([words, lines.length, lines.every((line) => [...line].length <= 80)]).toEqual([words, 2, true]);
    expect(lines[1]).toContain("…");
    const piped = await stacyvm(...words);
    expect(piped.stdout).not.toContain("…");
    expect(piped.stdout).toContain(words[0] === "registry-credential" ? "x".repeat(100) : long);
  }
  expect((await narrow("config", "show")).every((line) => line.length <= 80)).toBe(true);
  await admin.tenants.delete(long, { cascade: true });
});

test("a name that holds a line end makes no line of its own", async () => {
  await admin.tenants.create("Acme\nOwner:        mallory", { id: "acme" });
  await admin.tenants.members("acme").save("eve\nann", "viewer");
  expect((await stacyvm("tenant", "list")).stdout.trimEnd().split("\n")).toHaveLength(2);
  expect((await stacyvm("member", "list", "--tenant", "acme")).stdout.trimEnd().split("\n")).toHaveLength(2);
  const shown = (await stacyvm("tenant", "show", "acme")).stdout.trimEnd().split("\n");
  expect(shown.map((line) => line.split(":")[0])).toEqual(["Tenant", "Name", "Created", "Projects", "Members"]);
  await admin.tenants.delete("acme");
});
