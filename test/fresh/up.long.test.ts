import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";

const repository = resolve(import.meta.dirname, "../..");
const certificates = "/etc/ssl/certs/ca-certificates.crt";

/** Node and npm of the machine itself, the oldest that is promised to do among them. */
const machineNode = () => {
  const node = "/usr/bin/node";
  const npm = existsSync("/usr/bin/npm") ? dirname(dirname(realpathSync("/usr/bin/npm"))) : "";
  return existsSync(node) && npm !== ""
    ? { node, npm, version: execFileSync(node, ["--version"], { encoding: "utf8" }).trim() }
    : undefined;
};

const lacks = (): string | undefined => {
  if (process.getuid?.() !== 0) return "making a machine's root needs root";
  if (!existsSync("/usr/bin/mmdebstrap")) return "no mmdebstrap";
  if (machineNode() === undefined) return "the machine has no Node of its own in /usr/bin";
  return undefined;
};

/** Becomes the only root of its mount namespace, and of nothing else, before it does what a newcomer does. */
const newcomer = `
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount --rbind /dev dev; mount --rbind /sys sys; mount -t proc proc proc; mount -t tmpfs tmpfs run
mkdir run/lock
hostname fresh
mkdir .old; pivot_root . .old
umount -l /.old; rmdir /.old
cd /root/stacyvm
exec npm run up -- --once
`;

/** Package sources and what a release's smallest system lacks: apt in Ubuntu's, and the library that Node needs. */
const releases = [
  { name: "Debian 12", suite: "bookworm", sources: [], packages: [] },
  { name: "Debian 13", suite: "trixie", sources: [], packages: [] },
  {
    name: "Ubuntu 24.04",
    suite: "noble",
    // Its keys are no package of Debian's.
    sources: ["deb [trusted=yes] http://archive.ubuntu.com/ubuntu noble main universe"],
    packages: ["apt", "libstdc++6"],
  },
] as const;

test.for(releases)(
  "up on a fresh $name with nothing but Node, from a clean clone",
  ({ name, suite, sources, packages }, { skip }) => {
    const missing = lacks();
    if (missing !== undefined) skip(missing);
    const { node, npm, version } = machineNode() ?? { node: "", npm: "", version: "" };
    const root = mkdtempSync(join(tmpdir(), "stacyvm-fresh-"));
    try {
      const included = `--include=${["ca-certificates", ...packages].join(",")}`;
      execFileSync("mmdebstrap", ["--quiet", "--variant=minbase", included, suite, root, ...sources], {
        stdio: "inherit",
      });
      for (const program of ["git", "go", "python3", "gcc", "runc", "skopeo", "node"]) {
        expect(existsSync(join(root, "usr/bin", program)), program).toBe(false);
      }
      copyFileSync(node, join(root, "usr/local/bin/node"));
      mkdirSync(join(root, "usr/local/lib/node_modules"));
      cpSync(npm, join(root, "usr/local/lib/node_modules/npm"), { recursive: true, verbatimSymlinks: true });
      symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(root, "usr/local/bin/npm"));
      execFileSync("git", ["clone", "--quiet", "--no-local", repository, join(root, "root/stacyvm")]);
      // The way to the network is the machine's: its resolver, and whom it trusts.
      copyFileSync("/etc/resolv.conf", join(root, "etc/resolv.conf"));
      const trust = existsSync(certificates)
        ? { NODE_EXTRA_CA_CERTS: "/root/trusted.crt", SSL_CERT_FILE: "/root/trusted.crt" }
        : {};
      if (existsSync(certificates)) copyFileSync(certificates, join(root, "root/trusted.crt"));
      const script = join(root, "root/newcomer.sh");
      writeFileSync(script, newcomer);
      const { status, stdout } = spawnSync(
        "unshare",
        ["--mount", "--pid", "--uts", "--fork", "--kill-child", "sh", script, root],
        {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "inherit"],
          env: { HOME: "/root", PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...trust },
        },
      );
      console.log(`${name}, Node ${version}:\n${stdout}`);
      expect(status).toBe(0);
      expect(stdout).toMatch(
        /made a sandbox[\s\S]*ran a command.*hello from Linux, uid 0[\s\S]*read a file back[\s\S]*ran its programs.*Python 3.*Node 24\.[\s\S]*a C compiler[\s\S]*destroyed it/,
      );
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
);
