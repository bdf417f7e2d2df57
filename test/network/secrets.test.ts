import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { auditStore } from "../../packages/server/src/store/audit.ts";
import { openDatabase } from "../../packages/server/src/store/open-database.ts";
import { secretStore } from "../../packages/server/src/store/secrets.ts";
import type { Connection } from "./far-ends.ts";
import { caInside, type Ground, type NetworkSandbox, startGround } from "./ground.ts";
import { cannotReach } from "./internet.ts";
import { apiAddress, otherAddress } from "./row.ts";
import { networkTargets } from "./targets.ts";

const guide = resolve(import.meta.dirname, "../../docs/network.md");
const cli = resolve(import.meta.dirname, "../../packages/cli/src/main.ts");
const value = "sk-live-6fb2c9e1d84a7705";
const pollMs = 30_000;
/** Larger ones are reserved, not used, bytes. */
const segmentMaxBytes = 256 * 1024 * 1024;

/** What the far ends were asked, as `METHOD name/path header`. */
const asked = (connections: readonly Connection[], header = "authorization"): readonly string[] =>
  connections.flatMap(({ requests }) =>
    requests.map(({ method, host, url, headers }) => `${method} ${host}${url} ${headers[header] ?? "-"}`),
  );

const forms = (text: string): readonly string[] => [
  text,
  Buffer.from(text).toString("base64").slice(0, -4),
  Buffer.from(`x${text}`).toString("base64").slice(4, -4),
  Buffer.from(text).toString("hex"),
];

describe.each(networkTargets)("secrets under $id", (target) => {
  const reason = cannotReach() ?? target.lacks?.();
  beforeEach(async ({ skip }) => {
    if (reason !== undefined) skip(reason);
    await ground.internet.forget();
  });
  let ground: Ground;
  let sandbox: NetworkSandbox;

  const keep = async (name: string, body: object) => {
    const answer = await fetch(`${ground.server().url}/api/v1/secrets/${name}`, {
      method: "PUT",
      body: JSON.stringify(body),
    });
    expect(await answer.text()).not.toContain(value);
    expect(answer.status).toBe(200);
  };
  const curl = async (where: NetworkSandbox, ...args: readonly string[]) =>
    await where.run(["sh", "-c", `exec curl -s -m 20 ${args.join(" ")}`]);
  const requests = async (header?: string) => asked((await ground.internet.records()).connections, header);
  const denials = async (where: NetworkSandbox) =>
    (await where.log())
      .filter(({ decision }) => decision === "denied")
      .map(({ kind, host, reason: because }) => `${kind} ${host} ${because}`);

  beforeAll(async () => {
    if (reason !== undefined) return;
    ground = await startGround(target.ground);
    await ground.internet.say({
      "api.example.com": { a: [apiAddress] },
      "other.example.com": { a: [otherAddress] },
    });
    await keep("API_KEY", { value, hosts: ["api.example.com"] });
    sandbox = await ground.spawn({ mode: "public" }, { secrets: ["API_KEY@api.example.com"] });
  });
  afterAll(async () => {
    await ground?.[Symbol.asyncDispose]();
  });

  test("a program that sends its variable has its API called with the key, which it never sees", async () => {
    const told = await curl(sandbox, '-H "Authorization: Bearer $API_KEY"', "https://api.example.com/headers");
    expect(await requests()).toEqual([`GET api.example.com/headers Bearer ${value}`]);
    expect(told).toMatchObject({ status: 0, stdout: expect.stringContaining("api.example.com") });
    for (const form of forms(value)) expect(told.stdout).not.toContain(form);
    expect(told.stdout).toContain(`Bearer ${"*".repeat(value.length)}`);
    const log = await sandbox.log();
    expect(log.filter(({ kind }) => kind === "request").at(-1)).toMatchObject({
      method: "GET",
      path: "/headers",
      decision: "allowed",
      secrets: ["API_KEY"],
    });
    const masked = async () => (await sandbox.log()).filter(({ decision }) => decision === "masked");
    await expect.poll(masked).toMatchObject([{ kind: "response", secrets: ["API_KEY"] }]);
  });

  test("a sandbox whose programs can't be root does it too", async () => {
    const secrets = ["API_KEY"];
    await using restricted = await ground.spawn({ mode: "public" }, { secrets, security: "restricted" });
    const told = await curl(restricted, '-H "Authorization: Bearer $API_KEY"', "https://api.example.com/");
    expect(told).toMatchObject({ status: 0 });
    expect(await requests()).toEqual([`GET api.example.com/ Bearer ${value}`]);
    expect((await restricted.sh("id -u")).stdout).not.toBe("0\n");
  });

  test("HTTP Basic carries it too", async () => {
    await curl(sandbox, '-u "user:$API_KEY"', "https://api.example.com/");
    const basic = Buffer.from(`user:${value}`).toString("base64");
    expect(await requests()).toEqual([`GET api.example.com/ Basic ${basic}`]);
  });

  test("a header is set on the way out, in place of the sandbox's own, without anything inside", async () => {
    const inject = [{ host: "api.example.com", header: "X-Api-Key", secret: "API_KEY" }];
    await using other = await ground.spawn({ mode: "allowlist", allow: ["api.example.com:443"], inject });
    const told = await curl(other, "-H 'X-Api-Key: mine'", "https://api.example.com/headers");
    expect(await requests("x-api-key")).toEqual([`GET api.example.com/headers ${value}`]);
    expect(told.stdout).not.toContain(value);
    expect((await other.sh("env")).stdout).not.toContain("stacyvm-secret");
    const named = (await (await fetch(`${other.url}/network`)).json()) as object;
    expect(named).toMatchObject({ inject: [{ ...inject[0], value: "{secret}" }] });
  });

  test("it follows no redirect, goes nowhere else, and not in the clear", async () => {
    const header = '-H "Authorization: Bearer $API_KEY"';
    await curl(sandbox, "-L", header, "'https://api.example.com/redirect?to=https://other.example.com/'");
    await curl(
      sandbox,
      "-L --location-trusted",
      header,
      "'https://api.example.com/redirect?to=http://other.example.com/'",
    );
    await curl(sandbox, header, "http://other.example.com/");
    await curl(sandbox, header, "http://api.example.com/");
    await curl(sandbox, '"https://api.example.com/?key=$API_KEY"');
    await curl(sandbox, '--data "key=$API_KEY"', "https://api.example.com/");
    const seen = await requests();
    expect(seen.filter((line) => line.startsWith("GET api.example.com/redirect"))).toHaveLength(2);
    for (const line of seen) if (!line.startsWith("GET api.example.com/redirect")) expect(line).not.toContain(value);
    expect(seen.join("\n")).not.toContain("?key=");
    const connections = (await ground.internet.records()).connections;
    expect(JSON.stringify(connections.filter(({ at }) => at !== `${apiAddress}:443`))).not.toContain(value);
    expect(await denials(sandbox)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/other\.example\.com placeholder$/),
        expect.stringMatching(/api\.example\.com placeholder$/),
      ]),
    );
  });

  test("its use, its masking and its misuse are in the audit, each once a minute, without its value", async () => {
    await using one = await ground.spawn({ mode: "public" }, { secrets: ["API_KEY"] });
    const header = '-H "Authorization: Bearer $API_KEY"';
    for (let n = 0; n < 3; n++) await curl(one, header, "https://api.example.com/headers");
    await curl(one, header, "http://other.example.com/");
    const rows = async () => {
      const database = openDatabase({ driver: "sqlite", path: join(ground.dataDir, "stacyvm.db") });
      const listed = await auditStore(database).list(1_000);
      await database.queries.destroy();
      return listed
        .filter(({ sandboxId, action }) => sandboxId === one.id && action.startsWith("secret."))
        .map(({ action, resource, status, detail }) => [action, resource, status, detail].join(" | "));
    };
    await expect
      .poll(async () => (await rows()).toSorted(), { timeout: pollMs })
      .toEqual([
        "secret.mask | api.example.com:443 | success | reason=secret secret=API_KEY",
        "secret.refuse | other.example.com:80 | failure | reason=placeholder",
        "secret.use | api.example.com:443 | success | reason=public secret=API_KEY",
      ]);
  });

  test("a foreign Host gets 421 and reaches nobody", async () => {
    const told = await curl(
      sandbox,
      "-o /dev/null -w '%{http_code}'",
      "-H 'Host: other.example.com'",
      "https://api.example.com/",
    );
    expect(told.stdout).toBe("421");
    expect(await requests()).toEqual([]);
    expect(await denials(sandbox)).toContain("request api.example.com host_mismatch");
  });

  test("connections to other hosts stay end to end", async () => {
    const told = await curl(sandbox, `--cacert ${caInside}`, "https://other.example.com/");
    expect(told).toMatchObject({ status: 0, stdout: expect.stringContaining("other.example.com") });
    // The gateway's own of the test before, over which nothing was asked, may be heard of only now.
    const there = (await ground.internet.records()).connections.filter(({ at }) => at !== `${apiAddress}:443`);
    expect(there.map(({ at, sni }) => `${at} ${sni}`)).toEqual([`${otherAddress}:443 other.example.com`]);
  });

  test("rules decide by method and path", async () => {
    await using narrow = await ground.spawn({
      mode: "allowlist",
      allow: ["GET,HEAD api.example.com:443/v1/*"],
      deny: ["api.example.com/v1/private*"],
    });
    const code = async (...args: readonly string[]) =>
      (await curl(narrow, "--path-as-is -o /dev/null -w '%{http_code}'", ...args)).stdout;
    expect(await code("https://api.example.com/v1/items")).toBe("200");
    expect(await code("-X DELETE", "https://api.example.com/v1/items")).toBe("403");
    expect(await code("https://api.example.com/admin")).toBe("403");
    expect(await code("https://api.example.com/v1/private/key")).toBe("403");
    expect(await code("https://api.example.com/v1/../admin")).toBe("403");
    expect(await code("https://api.example.com/v1/%2e%2e/admin")).toBe("403");
    expect(await code("-H 'X-HTTP-Method-Override: DELETE'", "https://api.example.com/v1/items")).toBe("200");
    expect(await requests("x-http-method-override")).toEqual([
      "GET api.example.com/v1/items -",
      "GET api.example.com/v1/items -",
    ]);
  });

  test("the recipe in docs/network.md does it, from the command line", async () => {
    const [, recipe = ""] =
      /\n## Recipe: give it a key[^\n]*\n\n((?: {4}.*\n)+)/.exec(readFileSync(guide, "utf8")) ?? [];
    const node = process.execPath;
    const script = [
      "set -euo pipefail",
      `export HOME=${ground.dataDir} STACYVM_SERVER=http://127.0.0.1:${ground.server().port} EXAMPLE_KEY=${value}-2`,
      `stacyvm() { ${node} ${cli} "$@"; }`,
      `jq() { ${node} -pe 'JSON.parse(require("fs").readFileSync(0, "utf8")).id'; }`,
      recipe,
      'stacyvm exec "$id" --shell "echo \\$EXAMPLE_KEY"; stacyvm network "$id"; stacyvm secret list; stacyvm kill "$id"',
    ].join("\n");
    const { status, stdout, stderr } = await ground.internet.run("bash", "-c", script);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(await requests()).toEqual([`GET api.example.com/v1/me Bearer ${value}-2`]);
    expect(stdout).toContain("reached");
    expect(stdout).toMatch(/stacyvm-secret-[0-9a-f]{32}/);
    expect(stdout).toMatch(/allowed +GET api\.example\.com:443\/v1\/me .*secret EXAMPLE_KEY/);
    expect(stdout).not.toContain(value);
  });

  test("what can't work is refused at spawn, and nothing is made", async () => {
    const spawn = async (body: object) => {
      const answer = await fetch(`${ground.server().url}/api/v1/sandboxes`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      return `${answer.status} ${await answer.text()}`;
    };
    const before = await (await fetch(`${ground.server().url}/api/v1/sandboxes`)).text();
    const inject = (host: string, secret = "API_KEY") => ({ mode: "public", inject: [{ host, header: "X", secret }] });
    expect(await spawn({ secrets: ["NO_KEY@api.example.com"] })).toMatch(/^400 .*unknown secret/);
    expect(await spawn({ secrets: ["API_KEY@other.example.com"] })).toMatch(/^400 .*not for other\.example\.com:443/);
    expect(await spawn({ secrets: ["API_KEY@*.example.com"] })).toMatch(/^400 .*secrets\[0\]/);
    expect(await spawn({ secrets: ["API_KEY"], env: { API_KEY: "x" } })).toMatch(/^400 .*both set API_KEY/);
    expect(await spawn({ network: inject("other.example.com") })).toMatch(/^400 .*not for other/);
    expect(await spawn({ network: inject("api.example.com", "NO_KEY") })).toMatch(/^400 .*unknown secret/);
    expect(await spawn({ secrets: ["API_KEY"], network: { mode: "none" } })).toMatch(/^(400|501) .*no network/);
    expect(await (await fetch(`${ground.server().url}/api/v1/sandboxes`)).text()).toBe(before);
  });

  test("its value is in no file, environment, memory or process of the sandbox, nor in what the server keeps and tells", async () => {
    await curl(sandbox, '-H "Authorization: Bearer $API_KEY"', "https://api.example.com/headers");
    const backwards = [...value].toReversed().join("");
    const found = await sandbox.sh(
      `cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline >/tmp/processes 2>/dev/null
       echo ${backwards} | rev | grep -rlF -f - / --exclude-dir=proc --exclude-dir=sys 2>/dev/null; echo searched`,
    );
    expect(found.stdout).toBe("searched\n");
    const placeholder = await sandbox.sh("echo $API_KEY");
    expect(isInAgents(forms(value))).toBe(false);
    // What the sandbox does have is found.
    expect(isInAgents([placeholder.stdout.trim()])).toBe(true);
    const server = ground.server();
    const paths = [
      "sandboxes?view=full",
      "secrets",
      "events?limit=200",
      "config",
      "providers",
      "diagnostics",
      "metrics",
    ];
    const told = await Promise.all(
      paths.map(
        async (path) =>
          await (
            await fetch(`${server.url}/api/v1/${path}`, { signal: AbortSignal.timeout(3_000) }).catch(
              () => new Response(),
            )
          )
            .text()
            .catch(() => ""),
      ),
    );
    const kept = readdirSync(ground.dataDir)
      .filter((name) => name.startsWith("stacyvm.db"))
      .map((name) => readFileSync(join(ground.dataDir, name), "latin1"));
    const all = [...told, await server.log(), JSON.stringify(await sandbox.log()), ...kept];
    for (const form of forms(value)) for (const text of all) expect(text).not.toContain(form);
  });

  test("after the gateway or the server was killed it is in force before the first byte", async () => {
    for (const kill of ["gateway", "server"] as const) {
      if (kill === "server") await ground.restart("SIGKILL");
      else for (const pid of await ground.internet.pidsOf("stacyvm-egress")) process.kill(pid, "SIGKILL");
      await ground.internet.forget();
      const once = () => curl(sandbox, '-H "Authorization: Bearer $API_KEY"', "https://api.example.com/v1/again");
      await expect.poll(async () => (await once()).status, { timeout: pollMs }).toBe(0);
      const seen = await requests();
      expect(seen.length).toBeGreaterThan(0);
      expect(new Set(seen)).toEqual(new Set([`GET api.example.com/v1/again Bearer ${value}`]));
      await curl(sandbox, '-H "Authorization: Bearer $API_KEY"', "http://other.example.com/");
      expect((await requests()).join("\n")).not.toContain("other.example.com/ Bearer stacyvm");
    }
  });

  test("what another server of the database takes back or says anew counts here too", async () => {
    const database = openDatabase({ driver: "sqlite", path: join(ground.dataDir, "stacyvm.db") });
    const { find, delete: remove, save } = secretStore(database);
    const place = { tenantId: "", projectId: "" };
    const kept = await find(place, "API_KEY");
    if (kept === undefined) throw new Error("API_KEY is not kept");
    const call = async () =>
      (
        await curl(
          sandbox,
          "-o /dev/null -w '%{http_code}'",
          '-H "Authorization: Bearer $API_KEY"',
          "https://api.example.com/",
        )
      ).stdout;
    expect(await call()).toBe("200");
    await remove(place, "API_KEY");
    await expect.poll(call, { timeout: pollMs }).toBe("403");
    await save({ ...kept, nowMs: Date.now() }, 100);
    await expect.poll(call, { timeout: pollMs }).toBe("200");
    await database.queries.destroy();
  });

  test("it stops when it is taken back, and a new version counts at once", async () => {
    const call = () =>
      curl(sandbox, "-o /dev/null -w '%{http_code}' -H \"Authorization: Bearer $API_KEY\" https://api.example.com/");
    await keep("API_KEY", { value: "second-version-of-it", hosts: ["api.example.com"] });
    await expect
      .poll(
        async () => {
          await ground.internet.forget();
          await call();
          return await requests();
        },
        { timeout: pollMs },
      )
      .toEqual(["GET api.example.com/ Bearer second-version-of-it"]);
    const gone = await fetch(`${ground.server().url}/api/v1/secrets/API_KEY`, { method: "DELETE" });
    expect(gone.status).toBe(204);
    await expect.poll(async () => (await call()).stdout, { timeout: pollMs }).toBe("403");
    await ground.internet.forget();
    await call();
    expect(await requests()).toEqual([]);
    expect(await denials(sandbox)).toContain("request api.example.com secret_unavailable");
  });
});

/** Whether any of the texts is in the memory of this machine's agents; of those under gVisor in that of their whole sandbox. */
const isInAgents = (texts: readonly string[]): boolean => {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const searched = [...pids.flatMap(memoryOfAgent), ...pids.flatMap(memoryOfSentry)];
  if (searched.length === 0) throw new Error("no agent's memory was read");
  return searched.some((search) => search(texts));
};

type Search = (texts: readonly string[]) => boolean;

const memoryOfAgent = (pid: string): readonly Search[] => {
  try {
    if (!readFileSync(`/proc/${pid}/comm`, "utf8").includes("stacyvm-agent")) return [];
    const maps = readFileSync(`/proc/${pid}/maps`, "utf8").matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm);
    return [...maps].flatMap(([, from = "", to = ""]) => {
      const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
      if (end - start > segmentMaxBytes) return [];
      const held = readMemory(pid, start, end - start);
      return [(texts: readonly string[]) => texts.some((text) => held.includes(text))];
    });
  } catch {
    return []; // ended meanwhile
  }
};

const memoryOfSentry = (pid: string): readonly Search[] => {
  try {
    if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("runsc-sandbox")) return [];
    const files = readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`);
    const memory = files.find((path) => readlinkSync(path).startsWith("/memfd:runsc-memory"));
    return memory === undefined ? [] : [(texts) => isInFile(memory, texts)];
  } catch {
    return []; // ended meanwhile
  }
};

const isInFile = (path: string, texts: readonly string[]): boolean => {
  const { status } = spawnSync("grep", ["-q", "-a", "-F", "-f", "-", path], { input: texts.join("\n") });
  if (status !== 0 && status !== 1) throw new Error(`${path} could not be searched`);
  return status === 0;
};

const readMemory = (pid: string, from: number, length: number): string => {
  try {
    const args = [`if=/proc/${pid}/mem`, "bs=4096", `skip=${from / 4096}`, `count=${length / 4096}`, "status=none"];
    return execFileSync("dd", args, { maxBuffer: 1 << 29, stdio: ["ignore", "pipe", "ignore"] }).toString("latin1");
  } catch {
    return ""; // gone meanwhile, or never backed by anything
  }
};
