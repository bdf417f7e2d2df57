import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { missingChromium, openChromium } from "../clients/chromium.ts";
import { launcher, runProgram } from "../e2e/cli-process.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { openTerminal } from "../e2e/terminal.ts";
import { startIssuer, type TestIssuer } from "./issuer.ts";
import { Visitor } from "./visitor.ts";

const audience = "https://sandboxes.example";
const adminKey = "a".repeat(40);
const people = { alice: { groups: ["builders"], tenant_id: "acme" }, bob: {}, eve: {} };
let issuer: TestIssuer;
let server: TestServer;
let home: string;

const settings = () => ({
  "providers.mock.enabled": "true",
  "providers.default": "mock",
  "auth.admin_api_key": adminKey,
  "auth.oidc_issuer": issuer.url,
  "auth.oidc_audience": audience,
  "auth.oidc_cli_client_id": "cli",
  "auth.oidc_operator_groups": "builders",
});

beforeAll(async () => {
  issuer = await startIssuer({ audience, people });
  server = await startServer({ config: settings() });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "stacyvm-login-"));
  issuer.setPerson("alice");
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const profiles = () => join(home, "stacyvm", "profiles.json");
const env = (url = server.url) => ({
  STACYVM_SERVER: url,
  STACYVM_API_KEY: "",
  XDG_CONFIG_HOME: home,
  BROWSER: "true",
});
const stacyvm = (args: readonly string[], options: { stdin?: string; url?: string } = {}) =>
  runProgram(launcher, args, { env: env(options.url), ...(options.stdin && { stdin: options.stdin }) });

type Visit = (address: string) => Promise<unknown>;
const byRedirects: Visit = (address) => new Visitor().visit(address);

/** Runs the login, and does what a person's browser does with the address that it prints. */
const login = async (visit: Visit = byRedirects, args: readonly string[] = [], url = server.url) => {
  let visited: Promise<unknown> | undefined;
  let group = 0;
  const ran = await runProgram(launcher, ["login", ...args], {
    env: env(url),
    onStart: (pid) => {
      group = pid;
    },
    onError(stderr) {
      const [address] = /^http\S+\/auth\?\S+(?=\n)/m.exec(stderr) ?? [];
      if (address === undefined || visited !== undefined) return;
      visited = visit(address);
      // It would wait for its browser.
      visited.catch(() => process.kill(-group));
    },
  });
  await visited;
  return ran;
};

test("a login in the browser is kept for this user alone, used by the other commands, and forgotten at logout", async () => {
  const ran = await login();
  expect([ran.status, ran.stdout]).toEqual([
    0,
    expect.stringMatching(
      new RegExp(`^Logged in at ${server.url} as alice \\(operator\\) of acme until \\d{4}-.* UTC\n$`),
    ),
  ]);
  expect([statSync(profiles()).mode & 0o777, statSync(join(home, "stacyvm")).mode & 0o777]).toEqual([0o600, 0o700]);

  const spawned = await stacyvm(["spawn", "--json"]);
  const { id, owner_id, tenant_id } = JSON.parse(spawned.stdout) as Record<string, string>;
  expect([owner_id, tenant_id]).toEqual(["alice", "acme"]);
  // Over HTTP and over a WebSocket.
  expect((await stacyvm(["exec", id ?? "", "--", "echo", "hello"])).stdout).toBe("hello\n");
  const started = await fetch(`${server.url}/api/v1/sandboxes/${id}/processes`, {
    method: "POST",
    headers: { "x-api-key": adminKey, "x-tenant-id": "acme" },
    body: JSON.stringify({ command: "echo attached" }),
  });
  const made = (await started.json()) as { id: string };
  expect((await stacyvm(["attach", id ?? "", made.id])).stdout).toBe("attached\n");
  expect((await stacyvm(["kill", id ?? ""])).status).toBe(0);
  expect((await stacyvm(["key", "list"])).status).toBe(1);
  expect((await stacyvm(["key", "list", "--api-key", adminKey])).stdout).toBe("No keys\n");

  expect(await stacyvm(["logout"])).toMatchObject({ status: 0, stdout: `Logged out of ${server.url}\n` });
  expect(readFileSync(profiles(), "utf8")).not.toContain("eyJ");
  expect((await stacyvm(["list"])).stderr).toContain("Log in: stacyvm login");
  expect((await stacyvm(["logout"])).stdout).toBe(`Not logged in at ${server.url}\n`);
});

test("a real browser ends the login too", async (context) => {
  const reason = missingChromium();
  if (reason !== undefined) context.skip(reason);
  await using browser = await openChromium();
  const page = await browser.context.newPage();
  const ran = await login(async (address) => {
    await page.goto(address);
    await page.getByText("This window can be closed").waitFor();
  });
  expect([ran.status, ran.stderr]).toEqual([0, expect.not.stringContaining("failed")]);
});

test("what comes back without the login's state is passed over, and the login goes on", async () => {
  const refused: number[] = [];
  const ran = await login(async (address) => {
    const redirect = new URL(new URL(address).searchParams.get("redirect_uri") ?? "");
    expect(redirect.origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    for (const query of ["?code=stolen&state=guessed", "?error=access_denied", ""]) {
      refused.push((await fetch(redirect.href + query)).status);
    }
    const state = new URL(address).searchParams.get("state");
    const headers = { host: "evil.example" };
    refused.push(
      await new Promise<number>((resolve, reject) => {
        const forged = request(`${redirect.href}?code=x&state=${state}`, { headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode ?? 0);
        });
        forged.once("error", reject).end();
      }),
    );
    await byRedirects(address);
  });
  expect([refused, ran.status]).toEqual([[404, 404, 404, 404], 0]);
});

test("a login that the issuer refuses, or that gives no role, keeps nothing and says why", async () => {
  issuer.setPerson(undefined);
  expect(await login()).toMatchObject({ status: 1, stderr: expect.stringContaining("failed: nobody is here") });
  issuer.setPerson("eve");
  expect(await login()).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("required authorization scope missing"),
  });
  expect(() => statSync(profiles())).toThrow("ENOENT");
});

test("an issuer that gives tokens for no API has its ID token taken, where the server names the client as audience", async () => {
  await using own = await startServer({ config: { ...settings(), "auth.oidc_audience": "cli" } });
  expect(await login(byRedirects, [], own.url)).toMatchObject({
    status: 0,
    stdout: expect.stringContaining("as alice"),
  });
  expect((await stacyvm(["list"], { url: own.url })).stdout).toBe("No active sandboxes\n");
});

test("a login that has ended says what to do, and isn't sent", async () => {
  await login();
  const kept = JSON.parse(readFileSync(profiles(), "utf8"));
  kept.servers[server.url].expiresAt = new Date(Date.now() - 1).toISOString();
  writeFileSync(profiles(), JSON.stringify(kept));
  const ended = { status: 1, stdout: "", stderr: `the login at ${server.url} has ended\n  Run: stacyvm login\n` };
  for (const words of [["list"], ["attach", "sb-0000000000000000", "pr-0000000000000000"]]) {
    expect(await stacyvm(words)).toEqual(ended);
  }
  expect((await stacyvm(["list", "--api-key", adminKey])).status).toBe(0);
  expect((await stacyvm(["doctor"])).stderr).not.toContain("has ended");
  expect((await login()).status).toBe(0);
  expect((await stacyvm(["list"])).status).toBe(0);
});

test("a key comes by standard input, is asked of the server first, and never shown", async () => {
  const ran = await stacyvm(["login", "--key", "--json"], { stdin: `  ${adminKey}\n` });
  expect(JSON.parse(ran.stdout)).toEqual({ server: server.url, role: "admin", expires_at: expect.any(String) });
  expect(ran.stdout + ran.stderr).not.toContain(adminKey);
  const { expiresAt, kind } = JSON.parse(readFileSync(profiles(), "utf8")).servers[server.url];
  expect([kind, Math.round((Date.parse(expiresAt) - Date.now()) / 3_600_000)]).toEqual(["key", 7 * 24]);
  expect((await stacyvm(["key", "list"])).stdout).toBe("No keys\n");

  const short = await stacyvm(["key", "create", "short", "--role", "viewer", "--ttl", "1h"]);
  await stacyvm(["login", "--key"], { stdin: short.stdout });
  const kept = JSON.parse(readFileSync(profiles(), "utf8")).servers[server.url];
  expect(Date.parse(kept.expiresAt) - Date.now()).toBeLessThanOrEqual(3_600_000);

  for (const [stdin, words] of [
    ["wrong\n", "invalid or missing API key"],
    ["\n", "no key was given"],
    ["k\u00e9y\n", "what no header can carry"],
    ["x".repeat(5_000), "4096 bytes at most"],
  ] as const) {
    expect(await stacyvm(["login", "--key"], { stdin })).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(words),
    });
  }
  expect(JSON.parse(readFileSync(profiles(), "utf8")).servers[server.url]).toEqual(kept);
});

test("a key that is typed is not seen, and Ctrl-C leaves the terminal as it was", async () => {
  using terminal = openTerminal(() => server.url, { cols: 120 });
  const words = Object.entries(env()).map(([name, value]) => `${name}='${value}'`);
  const line = (round: number) =>
    `clear; echo round $((${round})); ${words.join(" ")} ${launcher} login --key; echo "status $?"`;
  /** The screen of an earlier round is gone once the sum is there. */
  const begin = async (round: number) => {
    terminal.line(line(round));
    await terminal.until(`round ${round}\n`);
    await terminal.until("Key:");
  };
  await terminal.prompt();
  await begin(1);
  terminal.type("abcd");
  terminal.key("C-c");
  await terminal.until("status 130");
  await begin(2);
  terminal.type(`${adminKey.slice(1)}x`);
  terminal.key("BSpace");
  terminal.type("a");
  terminal.key("Enter");
  await terminal.until("status 0");
  expect(terminal.screen()).toContain("as admin until");
  expect(terminal.screen()).not.toMatch(/aa|abcd/);
});

test("two servers have a login each", async () => {
  await using second = await startServer({ config: { "auth.admin_api_key": "b".repeat(40) } });
  await stacyvm(["login", "--key"], { stdin: adminKey });
  await stacyvm(["login", "--key"], { stdin: "b".repeat(40), url: second.url });
  for (const url of [server.url, `${second.url}/`]) expect((await stacyvm(["list"], { url })).status).toBe(0);
  await stacyvm(["logout"], { url: second.url });
  expect((await stacyvm(["list"])).status).toBe(0);
  expect((await stacyvm(["list"], { url: second.url })).status).toBe(1);
});

test.each([
  ["that others can read", 0o644, "{}", "isn't this user's alone: chmod 600 it"],
  ["that is damaged", 0o600, "{", "is damaged: remove it, and log in again"],
  ["that holds something else", 0o600, "null", "is damaged: remove it, and log in again"],
])("a file of logins %s is not used", async (_what, mode, text, words) => {
  mkdirSync(join(home, "stacyvm"));
  writeFileSync(profiles(), text);
  chmodSync(profiles(), mode);
  expect(await stacyvm(["list"])).toMatchObject({ status: 1, stderr: expect.stringContaining(words) });
});

test("a server that names another issuer than at the last login gets none", async () => {
  await login();
  await using elsewhere = await startIssuer({ audience, people });
  const kept = readFileSync(profiles(), "utf8");
  writeFileSync(profiles(), kept.replace(issuer.url, elsewhere.url));
  const ran = await login();
  expect(ran).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`names the issuer ${issuer.url}, and it was`),
  });
});

test("no credential goes to a server over plain HTTP, or to one that asks for none", async () => {
  const far = await stacyvm(["login", "--key"], { stdin: adminKey, url: "http://sandboxes.example" });
  expect(far).toMatchObject({ status: 1, stderr: expect.stringContaining("is not https") });
  await using open = await startServer();
  const near = await stacyvm(["login"], { url: open.url });
  expect(near).toMatchObject({ status: 1, stderr: expect.stringContaining("there is nothing to log in to") });
  await using keyed = await startServer({ config: { "auth.api_key": adminKey } });
  const browserless = await stacyvm(["login"], { url: keyed.url });
  expect(browserless).toMatchObject({ status: 1, stderr: expect.stringContaining("With a key: stacyvm login --key") });
});

test("somebody in several tenants says which, at the login and after it", async () => {
  await using own = await startServer({ config: settings() });
  const admin = async (method: string, path: string, body: object) => {
    const headers = { "X-Admin-API-Key": adminKey };
    const answer = await fetch(`${own.url}/api/v1/admin${path}`, { method, headers, body: JSON.stringify(body) });
    expect(answer.ok).toBe(true);
  };
  for (const id of ["acme", "rival"]) {
    await admin("POST", "/tenants", { id, name: id });
    await admin("PUT", `/tenants/${id}/members/bob`, { role: "operator" });
  }
  issuer.setPerson("bob");
  const refused = await login(byRedirects, [], own.url);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain("name a tenant: the caller belongs to 2");
  const loggedIn = await login(byRedirects, ["--tenant", "rival"], own.url);
  expect([loggedIn.status, loggedIn.stdout]).toEqual([0, expect.stringContaining("bob (operator) of rival")]);
  const made = await stacyvm(["--tenant", "rival", "--json", "spawn"], { url: own.url });
  expect(JSON.parse(made.stdout)).toMatchObject({ tenant_id: "rival", owner_id: "bob" });
  const { id } = JSON.parse(made.stdout) as { id: string };
  expect((await stacyvm(["--tenant", "acme", "list"], { url: own.url })).stdout).not.toContain(id);
  expect((await stacyvm(["--tenant", "acme", "kill", id], { url: own.url })).status).toBe(1);
  expect((await stacyvm(["--tenant", "rival", "kill", id], { url: own.url })).status).toBe(0);
});
