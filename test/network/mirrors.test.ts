// Outside of the test Internet: whether the programs that everybody installs with get on with the real one, through the gateway.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";
import { post } from "../e2e/api.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { codeImageTar, codeImageTimeoutMs } from "./code-image.ts";
import { cannotReach } from "./internet.ts";

const authorities = "/etc/ssl/certs/ca-certificates.crt";
const image = "mirror-code:latest";
const lookSeconds = 10;
const installTimeout = "180s";

const said = (program: string, ...args: readonly string[]): string => {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return ""; // it isn't there, or has no such setting
  }
};

/** What this machine's apt is configured with, the first of it. */
const aptMirror = (): string => {
  const folder = "/etc/apt/sources.list.d";
  const more = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  const text = ["/etc/apt/sources.list", ...more]
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
  return /^(?:URIs:|deb(?: \[[^\]]*\])?) *(https?:\/\/\S+)/m.exec(text)?.[1] ?? "";
};

const rows = [
  {
    program: "pip",
    mirror: () => said("pip3", "config", "get", "global.index-url") || "https://pypi.org/simple",
    // Where its index says that the files are.
    beside: "files.pythonhosted.org",
    install: (url: string) =>
      `python3 -m venv v && v/bin/pip install -q --disable-pip-version-check --index-url ${url} six && v/bin/python -c 'import six; print("works")'`,
  },
  {
    program: "npm",
    mirror: () => said("npm", "config", "get", "registry"),
    install: (url: string) =>
      `mkdir -p n && cd n && npm install --silent --no-audit --no-fund --registry ${url} ms && node -e 'require("ms"); console.log("works")'`,
  },
  {
    program: "apt",
    mirror: aptMirror,
    install: (url: string) =>
      `. /etc/os-release && rm -rf /etc/apt/sources.list.d && echo "deb ${url} $VERSION_CODENAME main" >/etc/apt/sources.list && apt-get -qq update && apt-get -qq install -y --no-install-recommends hello >/dev/null && hello -g works`,
  },
];

/** Why the mirror can't be used from this host itself; undefined where it can. */
const unreachable = (url: string): string | undefined => {
  if (url === "") return "this machine's configuration names no mirror";
  const status = said("curl", "-sS", "-o", "/dev/null", "-m", String(lookSeconds), "-w", "%{http_code}", url);
  return /^[234]/.test(status) ? undefined : `the mirror doesn't answer this host (${status || "nothing"})`;
};

const resolvers = (): string =>
  [...readFileSync("/etc/resolv.conf", "utf8").matchAll(/^nameserver +(\S+)/gm)]
    .map(([, address]) => address)
    .join(",");

describe("this machine's own mirrors", () => {
  const reason = cannotReach();
  let server: TestServer;
  let missing: string | undefined;

  beforeAll(async () => {
    if (reason !== undefined) return;
    const folder = mkdtempSync(join(tmpdir(), "stacyvm-mirrors-"));
    try {
      const found = await codeImageTar(folder);
      if ("missing" in found) {
        missing = found.missing;
        return;
      }
      server = await startServer({ config: { "providers.default": "oci", "network.resolvers": resolvers() } });
      const images = await createImageStore({
        storeDir: join(server.dataDir, "images"),
        aliases: {},
        clock: systemClock,
      });
      await images.importFrom(image, found.tar, AbortSignal.timeout(codeImageTimeoutMs));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, codeImageTimeoutMs);
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  test.for(rows)("$program installs a package from its mirror, and reaches nothing else", async (row, { skip }) => {
    const url = row.mirror();
    const why = reason ?? missing ?? unreachable(url);
    if (why !== undefined) skip(why);
    const { hostname, port, protocol } = new URL(url);
    const at = port || (protocol === "https:" ? "443" : "80");
    const allow = [`${hostname}:${at}`, ...(row.beside === undefined ? [] : [`${row.beside}:443`])];
    const spec = { image, memory_mb: 1024, network: { mode: "allowlist", allow } };
    const spawned = await post(`${server.url}/api/v1/sandboxes`, spec);
    expect(spawned.status).toBe(201);
    const { id } = (await spawned.json()) as { readonly id: string };
    const sandbox = `${server.url}/api/v1/sandboxes/${id}`;
    const exec = async (body: object) =>
      (await (await post(`${sandbox}/exec`, { timeout: installTimeout, ...body })).json()) as object;
    // Mirrors may have an authority that this machine alone knows.
    await exec({ command: `cat >${authorities}`, stdin: readFileSync(authorities, "utf8") });
    const env = { PIP_CERT: authorities, NODE_EXTRA_CA_CERTS: authorities };
    expect(await exec({ command: row.install(url), env })).toMatchObject({
      exit_code: 0,
      stdout: expect.stringContaining("works"),
    });
    expect(await exec({ command: "curl -s -m 5 https://example.com/" })).not.toMatchObject({ exit_code: 0 });
    const log = (await (await fetch(`${sandbox}/network/log`)).text()).trim().split("\n");
    const reached = log.map((line) => JSON.parse(line) as { decision?: string; host?: string; port?: number });
    const hosts = new Set(
      reached.flatMap(({ decision, host, port }) => (decision === "allowed" ? [`${host}:${port}`] : [])),
    );
    expect([...hosts].filter((one) => !allow.includes(one))).toEqual([]);
    expect(hosts.size).toBeGreaterThan(0);
  });
});
