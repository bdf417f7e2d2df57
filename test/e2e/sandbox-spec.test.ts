import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { post, spawnSandbox } from "./api.ts";
import { startServer, type TestServer } from "./server.ts";

interface Answer {
  readonly id: string;
  readonly reason: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

let server: TestServer;
let sandboxes: string;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true" } });
  sandboxes = `${server.url}/api/v1/sandboxes`;
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

const basicKeys = [
  "created_at",
  "expires_at",
  "id",
  "image",
  "memory_mb",
  "preview_domain",
  "provider",
  "state",
  "vcpus",
  "worker_id",
];

test("every way into a sandbox has its environment, its directory and its user", async () => {
  const spec = { env: { GREETING: "it's hi\n", EMPTY: "" }, workdir: "/srv/app/../deep", user: "user" };
  await using sandbox = await spawnSandbox(server, spec);
  const command = 'printf "%s|%s|" "$GREETING" "$(env | grep ^EMPTY)"; pwd; id -u; touch mine && stat -c %u . mine';
  const expected = "it's hi\n|EMPTY=|/srv/deep\n1000\n1000\n1000\n";
  expect((await sandbox.exec({ command })).body.stdout).toBe(expected);
  const lines = await sandbox.lines({ command });
  expect(lines.map(({ data }) => data).join("")).toBe(expected);
  for (const pty of [undefined, { cols: 80, rows: 24 }]) {
    const started = await post(`${sandbox.url}/processes`, { command, pty });
    const { id, workdir, user } = (await started.json()) as { id: string; workdir: string; user: string };
    expect({ workdir, user }).toEqual({ workdir: "/srv/deep", user: "user" });
    await post(`${sandbox.url}/processes/${id}/wait?timeout=20s`, {});
    const output = await fetch(`${sandbox.url}/processes/${id}/output`, {
      headers: { Accept: "application/octet-stream" },
    });
    expect((await output.text()).replaceAll("\r", "")).toBe(expected);
  }
  const own = await sandbox.exec({
    command: "pwd; id -u; echo $GREETING",
    workdir: "/",
    user: "0",
    env: { GREETING: "no" },
  });
  expect(own.body.stdout).toBe("/\n0\nno\n");
  expect((await sandbox.exec({ command: "pwd", workdir: ".." })).body.stdout).toBe("/srv\n");
});

test("a user of one's own may write where commands start, also where that is the usual place", async () => {
  await using sandbox = await spawnSandbox(server, { user: "1234:50" });
  const { body } = await sandbox.exec({ command: "pwd; echo $(id -u):$(id -g); touch mine && stat -c %u:%g mine" });
  expect(body.stdout).toBe("/workspace\n1234:50\n1234:50\n");
});

test("a restricted sandbox runs as 1000 alone, and the answer says which profile was used", async () => {
  const restricted = await post(sandboxes, { security: "restricted", workdir: "/workspace/a", env: { A: "1" } });
  expect(restricted.headers.get("x-stacyvm-security")).toBe("restricted");
  const { id } = (await restricted.json()) as Answer;
  const ran = await post(`${sandboxes}/${id}/exec`, { command: "id -u; pwd; echo $A; touch x && echo made" });
  expect(await ran.json()).toMatchObject({ stdout: "1000\n/workspace/a\n1\nmade\n" });
  await fetch(`${sandboxes}/${id}`, { method: "DELETE" });
  const usual = await post(sandboxes, {});
  expect(usual.headers.get("x-stacyvm-security")).toBe("default");
  await fetch(`${sandboxes}/${((await usual.json()) as Answer).id}`, { method: "DELETE" });
});

test.each([
  [{ security: "restricted", user: "root" }, "invalid_input", /user must be 1000 under the restricted/],
  [{ security: "restricted", user: "1000:0" }, "invalid_input", /user must be 1000 under the restricted/],
  [{ security: "restricted", workdir: "/srv" }, "invalid_input", /workdir \/srv: .*(permission|not permitted)/i],
  [{ user: "nobody-of-that-name" }, "invalid_input", /user "nobody-of-that-name" does not exist/],
  [{ user: "user:nogroup" }, "invalid_input", /group "nogroup" does not exist/],
  [{ user: "a b" }, "invalid_input", /user must be a name, a uid/],
  [{ workdir: "relative" }, "invalid_input", /workdir must be absolute/],
  [{ workdir: "/etc/passwd" }, "invalid_input", /workdir \/etc\/passwd/],
  [{ env: { "A=B": "1" } }, "invalid_input", /env names must be letters/],
  [{ env: { A: "x\0" } }, "invalid_input", /env\.A must not contain NUL/],
  [{ env: Object.fromEntries(Array.from({ length: 257 }, (_, n) => [`A${n}`, ""])) }, "invalid_input", /256 entries/],
  [
    { env: Object.fromEntries(Array.from({ length: 5 }, (_, n) => [`A${n}`, "x".repeat(32_768)])) },
    "invalid_input",
    /131072 bytes/,
  ],
  [{ disk_mb: 8 }, "invalid_input", /disk_mb must be 16 or more/],
  [{ disk_mb: 64, provider: "mock" }, "not_supported", /mock does not bound a sandbox's disk/],
  [{ security: "relaxed" }, "invalid_input", /security must be one of default, restricted/],
  [{ network_mode: "host" }, "not_supported", /host is not offered: on the host's network/],
  [{ network_mode: "x" }, "not_supported", /does not offer network "x" here, but none/],
  [
    { network: { mode: "public", deny: ["a", "b:x"] } },
    "invalid_input",
    /network\.deny\[1\] "b:x", column 3: "x" is no port/,
  ],
  [{ network: { mode: "public" }, network_mode: "none" }, "invalid_input", /give one/],
  [{ labels: { "-a": "x" } }, "invalid_input", /labels/],
  [{ labels: { a: "no spaces" } }, "invalid_input", /labels\.a must be empty or letters/],
  [{ labels: { "Upper.example/a": "x" } }, "invalid_input", /labels/],
  [{ name: "Web" }, "invalid_input", /name must be lower-case letters/],
  [{ name: "sb-0123456789abcdef" }, "invalid_input", /name must not begin with sb-/],
  [{ if_exists: "get" }, "invalid_input", /if_exists needs a name/],
  [{ if_exists: "replace", name: "a" }, "invalid_input", /if_exists must be one of fail, get/],
] as const)("%j is refused with a reason, and leaves nothing", async (spec, reason, message) => {
  const answer = await post(sandboxes, spec);
  const body = (await answer.json()) as Answer;
  expect({ status: answer.status, reason: body.reason }).toEqual({ status: 400, reason });
  expect(body.message).toMatch(message);
  expect(await (await fetch(sandboxes)).json()).toEqual([]);
});

test("a disk is as large as was asked for", async () => {
  await using sandbox = await spawnSandbox(server, { disk_mb: 32 });
  const { body } = await sandbox.exec({ command: "df -m / | awk 'END { print $2 }'" });
  expect(Number(body.stdout)).toBeGreaterThan(16);
  expect(Number(body.stdout)).toBeLessThanOrEqual(32);
});

test("answers keep the keys that old clients know, unless the full view is asked for; values of env are in neither", async () => {
  const spec = { name: "seen", labels: { app: "web" }, env: { TOKEN: "hunter2", B: "" }, user: "user", disk_mb: 64 };
  const full = {
    name: "seen",
    labels: { app: "web" },
    env_names: ["B", "TOKEN"],
    user: "user",
    workdir: "/workspace",
    disk_mb: 64,
    security: "default",
    network_mode: "bridge",
    network: { mode: "public", allow: [], deny: [] },
  };
  const answers: [string, RequestInit][] = [
    [sandboxes, { method: "POST", body: JSON.stringify({ ...spec, if_exists: "get" }) }],
  ];
  const { id } = (await (await fetch(...(answers[0] as [string, RequestInit]))).json()) as Answer;
  answers.push(
    [`${sandboxes}/${id}`, {}],
    [sandboxes, {}],
    [`${sandboxes}/${id}/extend`, { method: "POST", body: JSON.stringify({ ttl: "5m" }) }],
  );
  for (const [url, init] of answers) {
    const plain = await (await fetch(url, init)).text();
    const detailed = await (await fetch(`${url}?view=full`, init)).text();
    expect(plain + detailed).not.toContain("hunter2");
    const [plainOne, fullOne] = [plain, detailed].map((text) => [JSON.parse(text)].flat()[0]);
    expect(Object.keys(plainOne).toSorted()).toEqual(basicKeys);
    expect(fullOne).toMatchObject(full);
    expect(Object.keys(fullOne).toSorted()).toEqual([...basicKeys, ...Object.keys(full)].toSorted());
  }
  await fetch(`${sandboxes}/${id}`, { method: "DELETE" });
});

describe("a template's spawn", () => {
  test("takes the same, over what the template says", async () => {
    const templates = `${server.url}/api/v1/templates`;
    await post(templates, { name: "t", image: "alpine:latest", env: { A: "template", B: "template" } });
    const spawned = await post(`${templates}/t/spawn?view=full`, {
      env: { B: "own" },
      workdir: "/srv",
      labels: { a: "b" },
      name: "from-t",
    });
    const body = (await spawned.json()) as Answer;
    expect(body).toMatchObject({ env_names: ["A", "B"], workdir: "/srv", labels: { a: "b" }, name: "from-t" });
    const ran = await post(`${sandboxes}/${body.id}/exec`, { command: "echo $A $B; pwd" });
    expect(await ran.json()).toMatchObject({ stdout: "template own\n/srv\n" });
    await fetch(`${sandboxes}/${body.id}`, { method: "DELETE" });
    await fetch(`${templates}/t`, { method: "DELETE" });
  });
});
