import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemNode } from "../e2e/cli-process.ts";

const repository = resolve(import.meta.dirname, "../..");
const enter = join(import.meta.dirname, "enter.sh");
const minutes = 60_000;

const releases = [
  ["Debian 12", "bookworm", "deb http://deb.debian.org/debian bookworm main"],
  ["Debian 13", "trixie", "deb http://deb.debian.org/debian trixie main"],
  // Its keyring is no package of Debian's stable releases.
  ["Ubuntu 24.04", "noble", "deb [trusted=yes] http://archive.ubuntu.com/ubuntu noble main universe"],
] as const;

/** How this host reaches registries and package sources, which a machine in its place would know too. */
const reach = /^(npm_config_.*|node_extra_ca_certs|ssl_cert_file|https?_proxy|no_proxy|goproxy)$/i;
const reachFiles = ["/etc/npmrc", "/root/.npmrc", "/etc/apt/apt.conf.d", "/etc/resolv.conf"];
const certificates = "/etc/ssl/certs/ca-certificates.crt";

/** The release's smallest system with certificates, a Node with its npm and the library that Node needs, and a clone; nothing else. */
const freshMachine = (suite: string, source: string): string => {
  const root = mkdtempSync(join(tmpdir(), "stacyvm-machine-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const options = ["--mode=root", "--variant=minbase", "--include=ca-certificates,libstdc++6", "--quiet"];
  const apt = ['APT::Sandbox::User "root"', 'Acquire::Check-Date "false"'].map((line) => `--aptopt=${line}`);
  execFileSync("mmdebstrap", [...options, ...apt, suite, root, source], { stdio: "inherit" });
  for (const path of [...reachFiles, certificates]) {
    if (!existsSync(path)) continue;
    rmSync(join(root, path), { recursive: true, force: true });
    cpSync(path, join(root, path), { recursive: true, dereference: true });
  }
  const local = join(root, "usr/local");
  const npm = dirname(dirname(realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim())));
  cpSync(realpathSync(systemNode), join(local, "bin/node"));
  mkdirSync(join(local, "lib/node_modules"), { recursive: true });
  cpSync(npm, join(local, "lib/node_modules/npm"), { recursive: true });
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(local, "bin/npm"));
  execFileSync("git", ["clone", "--quiet", repository, join(root, "root/stacyvm")]);
  return root;
};

test.each(releases)(
  "on a fresh %s with a Node and nothing else, `npm run up -- --once` has everything it needs",
  (_, suite, source) => {
    const root = freshMachine(suite, source);
    const known = Object.entries(process.env).filter(([name]) => reach.test(name) && name !== "npm_config_user_agent");
    const env = {
      ...Object.fromEntries(known),
      HOME: "/root",
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    };
    const namespaces = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"];
    const up = ["npm", "run", "up", "--", "--once", "--port", "7433"];
    const { status, stdout, stderr } = spawnSync("unshare", [...namespaces, enter, root, ...up], {
      env,
      encoding: "utf8",
    });
    console.log(`${stderr}${stdout}`);
    expect(status).toBe(0);
    for (const said of ["serves at http://127.0.0.1:7433", "made a sandbox", "ran a command", "destroyed it"])
      expect(stdout).toContain(said);
  },
  20 * minutes,
);
