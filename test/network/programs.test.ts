import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { engineLacks } from "../../packages/server/src/providers/docker/docker-engine.testing.ts";
import { buildNative } from "../../packages/server/src/providers/host.testing.ts";
import { codeImageTar, codeImageTimeoutMs } from "./code-image.ts";
import { caInside, type Ground, type NetworkSandbox, startGround } from "./ground.ts";
import { cannotReach, type Internet } from "./internet.ts";
import { serveApt, serveGit, serveNpm, servePip } from "./packages.ts";
import { servePythonClients } from "./python-clients.ts";
import { apiAddress, otherAddress } from "./row.ts";
import { dockerBeside } from "./targets.ts";

const reason = cannotReach();
const packageAddress = "203.0.113.31";
const image = "network-code:latest";

interface Program {
  readonly name: string;
  /** Run once before; installs Python's clients. */
  readonly setup?: string;
  /** Looked for in the image. */
  readonly program: string;
  /** Reaches api.example.com, or what is said, and prints `done`. */
  readonly script: string;
  /** The same for other.example.com, which isn't allowed. */
  readonly refused?: string;
  /** Server name that the far end must have heard. */
  readonly sni: string;
}

const python = (url: string) =>
  `python3 -c 'import urllib.request; print(urllib.request.urlopen("${url}", timeout=20).read().decode())' && echo done`;
const node = (url: string) =>
  `node -e 'fetch("${url}").then((a) => a.text()).then((text) => console.log(text, "done"))'`;

const clients = (code: string) => `clients/bin/python - <<'END'\n${code}\nEND`;
const requests = (url: string) => clients(`import requests\nprint(requests.get("${url}", timeout=20).text, "done")`);
const aiohttp = (url: string) =>
  clients(`import aiohttp, asyncio
async def main():
    # Without trust_env it heeds no variable.
    async with aiohttp.ClientSession(trust_env=True) as session, session.get("${url}") as answer:
        print(await answer.text(), "done")
asyncio.run(asyncio.wait_for(main(), 20))`);
const installClients = (name: string) =>
  `test -d clients || python3 -m venv clients && clients/bin/pip install -q --disable-pip-version-check --index-url https://pypi.example.com/simple ${name}`;
/** It reads no variable: where the way out is a proxy, it is told so. */
const java = (url: string) =>
  `/opt/java/bin/java -cp /opt/java-client \${HTTPS_PROXY:+-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128} Get ${url} ${caInside}`;
const apt = (host: string, verb: string) =>
  `echo 'deb [trusted=yes] https://${host}/ ./' >/tmp/apt.list && apt-get -q -o Acquire::Retries=0 -o Dir::Etc::SourceList=/tmp/apt.list -o Dir::Etc::SourceParts=/dev/null ${verb}`;

const programs: readonly Program[] = [
  {
    name: "curl",
    program: "curl",
    script: "curl -sSf -m 20 https://api.example.com/ && echo done",
    refused: "curl -sSf -m 20 https://other.example.com/",
    sni: "api.example.com",
  },
  {
    name: "wget",
    program: "wget",
    script: "wget -q -T 20 -t 1 -O - https://api.example.com/ && echo done",
    refused: "wget -q -T 20 -t 1 -O - https://other.example.com/",
    sni: "api.example.com",
  },
  {
    name: "git",
    program: "git",
    script: "rm -rf cloned && git clone -q https://git.example.com/project.git cloned && cat cloned/file && echo done",
    refused: "git clone -q https://other.example.com/project.git elsewhere",
    sni: "git.example.com",
  },
  {
    name: "pip",
    program: "pip",
    script:
      "python3 -m venv venv && venv/bin/pip install -q --disable-pip-version-check --index-url https://pypi.example.com/simple greeter && venv/bin/python -c 'import greeter' && echo done",
    refused:
      "venv/bin/pip install -q --retries 0 --disable-pip-version-check --index-url https://other.example.com/simple absent",
    sni: "pypi.example.com",
  },
  {
    name: "npm",
    program: "npm",
    script:
      "mkdir -p node && cd node && npm install --silent --no-audit --no-fund --registry https://npm.example.com greeter && node -e 'require(\"greeter\")' && echo done",
    refused: "mkdir -p node && cd node && npm view --fetch-retries 0 --registry https://other.example.com greeter",
    sni: "npm.example.com",
  },
  {
    name: "Python's urllib",
    program: "python3",
    script: python("https://api.example.com/"),
    refused: python("https://other.example.com/"),
    sni: "api.example.com",
  },
  {
    name: "Python's requests",
    program: "pip",
    setup: installClients("requests"),
    script: requests("https://api.example.com/"),
    refused: requests("https://other.example.com/"),
    sni: "api.example.com",
  },
  {
    name: "Python's aiohttp, told to heed the environment,",
    program: "pip",
    setup: installClients("aiohttp"),
    script: aiohttp("https://api.example.com/"),
    refused: aiohttp("https://other.example.com/"),
    sni: "api.example.com",
  },
  {
    name: "apt",
    program: "apt-get",
    script: `${apt("apt.example.com", "update")} && ${apt("apt.example.com", "install --yes greeter")} && greeter && echo done`,
    refused: apt("other.example.com", "update --error-on=any"),
    sni: "apt.example.com",
  },
  {
    name: "Go's usual client",
    program: "network-probe",
    script: "network-probe fetch https://api.example.com/ && echo done",
    refused: "network-probe fetch https://other.example.com/",
    sni: "api.example.com",
  },
  {
    name: "Java's client",
    program: "/opt/java/bin/java",
    script: java("https://api.example.com/"),
    refused: java("https://other.example.com/"),
    sni: "api.example.com",
  },
  {
    name: "Node's fetch",
    program: "node",
    script: node("https://api.example.com/"),
    refused: node("https://other.example.com/"),
    sni: "api.example.com",
  },
];

const trust = [
  "SSL_CERT_FILE",
  "CURL_CA_BUNDLE",
  "GIT_SSL_CAINFO",
  "PIP_CERT",
  "REQUESTS_CA_BUNDLE",
  "NODE_EXTRA_CA_CERTS",
  "npm_config_cafile",
];

/** Into the image of the tar. */
const addProbe = (tar: string, folder: string): void => {
  const bin = join(folder, "added/usr/bin");
  mkdirSync(bin, { recursive: true });
  buildNative("network-probe", bin);
  execFileSync("tar", ["--append", "--file", tar, "-C", join(folder, "added"), "usr/bin/network-probe"]);
};

/** Java of this machine, where it has a kit to make one, and a program that is its client; into the image of the tar. */
const addJava = (tar: string, folder: string): void => {
  if (!["jlink", "javac"].every((name) => existsSync(`/usr/bin/${name}`))) return;
  const kept = resolve(import.meta.dirname, "../../.cache/java");
  if (!existsSync(join(kept, "opt/java/bin/java"))) {
    const lean = ["--no-header-files", "--no-man-pages", "--strip-debug"];
    mkdirSync(join(kept, "opt"), { recursive: true });
    rmSync(join(kept, "opt/java"), { recursive: true, force: true });
    execFileSync("jlink", [
      "--add-modules",
      "java.net.http,jdk.crypto.ec",
      ...lean,
      "--output",
      join(kept, "opt/java"),
    ]);
  }
  const client = join(folder, "java/opt/java-client");
  execFileSync("javac", ["-d", client, resolve(import.meta.dirname, "Get.java")]);
  execFileSync("tar", ["--append", "--file", tar, "-C", kept, "opt/java"]);
  execFileSync("tar", ["--append", "--file", tar, "-C", join(folder, "java"), "opt/java-client"]);
};

const runsc = "/usr/bin/runsc";
const ofDocker = ["curl", "pip", "Node's fetch"];
const levels = [
  { provider: "oci", runtime: "runc", level: "transparent", tried: programs },
  ...(engineLacks() === undefined
    ? [
        {
          provider: "docker",
          runtime: "runc",
          level: "transparent",
          tried: programs.filter(({ name }) => ofDocker.includes(name)),
          beside: (internet: Internet) => dockerBeside(internet, { remap: true }),
        },
      ]
    : []),
  { provider: "proot", runtime: "runc", level: "proxy", tried: programs },
  ...(existsSync(runsc) ? [{ provider: "oci", runtime: runsc, level: "proxy", tried: programs }] : []),
];
const why = reason === undefined ? "" : ` (${reason})`;

describe.skipIf(reason !== undefined).each(levels)(
  `real programs under $provider with $runtime, $level${why}`,
  ({ provider, runtime, level, tried, ...more }) => {
    let ground: Ground;
    let sandbox: NetworkSandbox;
    let missing: string | undefined;
    let clientsMissing: string | undefined;

    beforeAll(async () => {
      const folder = mkdtempSync(join(tmpdir(), "stacyvm-code-"));
      const found = await codeImageTar(folder);
      if ("missing" in found) missing = found.missing;
      else {
        addProbe(found.tar, folder);
        addJava(found.tar, folder);
      }
      ground = await startGround({
        config: {
          "providers.default": provider,
          [`providers.${provider}.enabled`]: "true",
          "providers.oci.runtime": runtime,
        },
        ...("tar" in found ? { images: { [image]: found.tar } } : {}),
        ...more,
      });
      rmSync(folder, { recursive: true });
      const www = join(ground.internet.directory, "www");
      serveGit(www, "git.example.com", "project", "content of the repository\n");
      servePip(www, "pypi.example.com", "greeter", "print('installed by pip')\n");
      serveApt(www, "apt.example.com", "greeter", "installed by apt");
      serveNpm(www, "npm.example.com", "greeter", "console.log('installed by npm')\n");
      await ground.internet.say({
        "api.example.com": { a: [apiAddress] },
        "other.example.com": { a: [otherAddress] },
        ...Object.fromEntries(
          ["apt", "git", "pypi", "npm"].map((name) => [`${name}.example.com`, { a: [packageAddress] }]),
        ),
      });
      if (missing !== undefined) return;
      sandbox = await ground.spawn(
        { mode: "allowlist", allow: ["apt", "git", "pypi", "npm", "api"].map((name) => `${name}.example.com:443`) },
        { image, memory_mb: 1024, env: Object.fromEntries(trust.map((name) => [name, caInside])) },
      );
      await sandbox.write(caInside, readFileSync(ground.internet.caFile, "utf8"));
      const { stdout } = await sandbox.sh(`python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])'`);
      clientsMissing = servePythonClients(www, "pypi.example.com", stdout.trim());
      // wget and apt look nowhere else.
      await sandbox.sh(`cat ${caInside} >> /etc/ssl/certs/ca-certificates.crt`);
    }, codeImageTimeoutMs);
    beforeEach(() => ground.internet.forget());
    afterAll(async () => {
      await ground?.[Symbol.asyncDispose]();
    });

    test.for(tried)("$name gets what is allowed by TLS, and not what isn't", async (one, { skip }) => {
      if (missing !== undefined) skip(missing);
      const there = await sandbox.sh(`command -v ${one.program}`);
      if (there.status !== 0) skip(`the image has no ${one.program}`);
      if (one.setup !== undefined && clientsMissing !== undefined) skip(clientsMissing);
      if (one.setup !== undefined) expect(await sandbox.sh(one.setup)).toMatchObject({ status: 0 });
      await ground.internet.forget();
      const { status, stdout, stderr } = await sandbox.sh(one.script);
      expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: expect.stringContaining("done") });
      const { connections } = await ground.internet.records();
      expect(connections.length).toBeGreaterThan(0);
      expect(new Set(connections.map(({ sni }) => sni))).toEqual(new Set([one.sni]));
      expect(connections.flatMap(({ requests }) => requests).length).toBeGreaterThan(0);
      if (one.refused === undefined) return;
      await ground.internet.forget();
      expect((await sandbox.sh(one.refused)).status).not.toBe(0);
      const { packets, queries } = await ground.internet.records();
      expect(packets.filter(({ destination_port }) => destination_port !== 53)).toEqual([]);
      expect(queries.filter(({ name }) => name.startsWith("other"))).toEqual([]);
    });

    test("every program but Java trusts the gateway where it looks into their hosts", async ({ skip }) => {
      if (missing !== undefined) skip(missing);
      const looked = ["apt", "git", "pypi", "npm", "api"].map((name) => `inspect ${name}.example.com:443`);
      await using own = await ground.spawn({ mode: "allowlist", allow: looked }, { image, memory_mb: 1024 });
      for (const { name, program, setup, script } of tried) {
        if (name === "Java's client" || (setup !== undefined && clientsMissing !== undefined)) continue;
        expect((await own.sh(`command -v ${program}`)).status).toBe(0);
        if (setup !== undefined) expect({ name, ...(await own.sh(setup)) }).toMatchObject({ status: 0 });
        const ran = await own.sh(script);
        expect({ name, ...ran }).toMatchObject({ status: 0, stdout: expect.stringContaining("done") });
      }
      const requests = (await own.log()).filter(({ kind, decision }) => kind === "request" && decision === "allowed");
      expect(requests.length).toBeGreaterThanOrEqual(tried.length - 3);
    });

    test("a program that asks no proxy gets what is allowed where the level is transparent, and nothing elsewhere", async () => {
      await using plain = await ground.spawn({ mode: "allowlist", allow: ["api.example.com:443"] });
      const isCarried = level === "transparent";
      const answer = await plain.probe.https("https://api.example.com/");
      expect(answer).toMatchObject(isCarried ? { status: 200 } : { connected: false });
      expect(await plain.probe.https("https://other.example.com/")).toMatchObject({ connected: false });
      const { connections } = await ground.internet.records();
      expect(connections.map(({ sni }) => sni)).toEqual(isCarried ? ["api.example.com"] : []);
    });

    test("the sandbox tells its level; what programs need for it is below the caller's variables, and not told as theirs", async () => {
      const env = { NO_PROXY: "internal.example", OWN: "1" };
      await using own = await ground.spawn({ mode: "public" }, { env });
      const told = async (path: string) => await (await fetch(`${own.url}${path}`)).json();
      expect(await told("/network")).toMatchObject({ level });
      expect(await told("?view=full")).toMatchObject({ env_names: ["NO_PROXY", "OWN"] });
      const { stdout } = await own.sh("env | grep -i -E '^(https?_proxy|no_proxy|all_proxy|node_use)' | sort");
      const proxy = "http://127.0.0.1:3128";
      const set = [`HTTP_PROXY=${proxy}`, `HTTPS_PROXY=${proxy}`, "NODE_USE_ENV_PROXY=1", `http_proxy=${proxy}`];
      const all = [...set, `https_proxy=${proxy}`];
      const lines = ["NO_PROXY=internal.example", ...(level === "proxy" ? all : [])];
      expect(stdout.trim().split("\n").toSorted()).toEqual(lines.toSorted());
    });

    test("an agent installs packages and calls one API, and what it installed calls nobody else", async ({ skip }) => {
      if (missing !== undefined) skip(missing);
      const www = join(ground.internet.directory, "www");
      const hostile = [
        "import urllib.request, os",
        "for url in ('https://other.example.com/'+os.urandom(8).hex(), 'http://203.0.113.21/', 'http://169.254.169.254/'):",
        "    try: urllib.request.urlopen(url, timeout=10); print('told', url)",
        "    except Exception as error: print('kept', url)",
        "",
      ].join("\n");
      servePip(www, "pypi.example.com", "telltale", hostile);
      await using agent = await ground.spawn(
        { mode: "allowlist", allow: ["pypi.example.com:443", "api.example.com:443"] },
        { image, memory_mb: 1024, env: Object.fromEntries(trust.map((name) => [name, caInside])) },
      );
      await agent.write(caInside, readFileSync(ground.internet.caFile, "utf8"));
      const installed = await agent.sh(
        "python3 -m venv venv && venv/bin/pip install -q --disable-pip-version-check --index-url https://pypi.example.com/simple telltale",
      );
      expect(installed).toMatchObject({ status: 0 });
      const called = await agent.sh(`venv/bin/${python("https://api.example.com/v1/answer")}`);
      expect(called.stdout).toContain(`reached ${apiAddress}:443 as api.example.com`);
      const imported = await agent.sh("venv/bin/python -c 'import telltale'");
      expect(imported.stdout).not.toContain("told");
      expect(imported.stdout.match(/kept/g)).toHaveLength(3);
      const { connections, packets, queries } = await ground.internet.records();
      expect(new Set(connections.map(({ at, sni }) => `${at} ${sni}`))).toEqual(
        new Set([`${packageAddress}:443 pypi.example.com`, `${apiAddress}:443 api.example.com`]),
      );
      expect(new Set(queries.map(({ name }) => name))).toEqual(new Set(["pypi.example.com", "api.example.com"]));
      expect(
        packets.filter(
          ({ destination, destination_port }) =>
            destination_port !== 53 && ![packageAddress, apiAddress].includes(destination),
        ),
      ).toEqual([]);
      const denied = (await agent.log()).filter(({ decision }) => decision === "denied");
      expect(denied.map(({ host, address }) => host ?? address)).toEqual(
        expect.arrayContaining(["other.example.com", otherAddress, "169.254.169.254"]),
      );
    });
  },
);
