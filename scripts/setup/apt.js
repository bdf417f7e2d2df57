// Plain JavaScript that Node 20 can start.
import { accessSync, constants, existsSync } from "node:fs";
import { outputOf, runQuietly } from "./run.js";
import { orSkip, SetupStop, say } from "./say.js";

/** Package and what it is for. Names of Debian 12 and newer and Ubuntu 24.04 and newer. */
export const packages = {
  run: {
    runc: "starts sandboxes",
    skopeo: "pulls images",
    umoci: "unpacks images",
    mmdebstrap: "makes the first image",
    "xz-utils": "reads images compressed with xz",
    e2fsprogs: "formats the sandboxes' disks",
    "ca-certificates": "verifies registries",
    nftables: "second wall of outbound network",
  },
  /** Instead of those, where sandboxes are made by a user without privileges. */
  withoutRoot: {
    proot: "makes sandboxes without root",
    skopeo: "pulls images",
    umoci: "unpacks images",
    mmdebstrap: "makes the first image",
    fakechroot: "lets mmdebstrap do so without root",
    fakeroot: "lets mmdebstrap do so without root",
    "xz-utils": "reads images compressed with xz",
    "ca-certificates": "verifies registries",
  },
  test: {
    proot: "sandboxes without root",
    fakechroot: "a base image without root",
    fakeroot: "a base image without root",
    crun: "second OCI runtime",
    "docker-registry": "registry that pulls are tested against",
    "busybox-static": "smallest root file system of the tests",
    "qemu-user-static": "runs the arm64 agent's tests",
    postgresql: "second database of the store's tests",
    "musl-tools": "makes a musl program for the agent's tests",
    gcc: "Go's race detector needs a C compiler",
    "libc6-dev": "Go's race detector needs the C library",
    curl: "takes README's tour",
    "python3-venv": "runs the published Python client",
    iproute2: "links the network namespaces of the tests",
    zstd: "makes archives for the image tests",
    "btrfs-progs": "formats the disk of an engine that bounds its containers' disks",
    tmux: "terminal in which shells are tested",
    vim: "editor whose screen is compared after coming back to it",
    procps: "top, whose screen is compared too",
  },
  long: {
    "qemu-system-x86": "boots a machine whose control groups are version 2 alone",
  },
};

/** @param {string} name */
// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
const isInstalled = (name) => outputOf("dpkg-query", ["-W", "-f=${Status}", name])?.endsWith(" installed") === true;

/** @param {string} name */
const isOffered = (name) => /Candidate: [^(]/.test(outputOf("apt-cache", ["policy", name]) ?? "");

/** Where the distribution has it as a package: Ubuntu doesn't. */
export const ensureBrowser = () => {
  if (isOffered("chromium"))
    orSkip("no test opens a browser", () => ensurePackages({ chromium: "opens what the API serves" }));
};

/** Where the distribution has it as a package, for this architecture. */
export const ensureGVisor = () => {
  if (isOffered("runsc")) orSkip("no test runs gVisor", () => ensurePackages({ runsc: "third OCI runtime" }));
};

/** Whether this user has a Docker engine at hand, as the server looks for one. */
export const mayUseEngine = () => {
  if ((process.env.DOCKER_HOST ?? "") !== "") return true;
  try {
    accessSync("/var/run/docker.sock", constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/** Only where no engine is installed: the distribution's would take another vendor's place. */
export const ensureDocker = () => {
  if (["/usr/bin/dockerd", "/usr/sbin/dockerd"].some((path) => existsSync(path)) || !isOffered("docker.io")) return;
  orSkip("no test runs a Docker engine", () => ensurePackages({ "docker.io": "engines of the tests' own" }));
};

/**
 * Installs what is missing, and says why each is wanted. Stops where it may not or can't; where that needs root, only for
 * want of one that nothing works without.
 * @param {Readonly<Record<string, string>>} wanted
 * @param {{ essential?: readonly string[] }} [options] all of them, unless it is said
 */
export const ensurePackages = (wanted, { essential = Object.keys(wanted) } = {}) => {
  const isDebian = existsSync("/usr/bin/apt-get") && existsSync("/usr/bin/dpkg-query");
  const missing = isDebian ? Object.keys(wanted).filter((name) => !isInstalled(name)) : Object.keys(wanted);
  if (missing.length === 0) return;
  const reasons = missing.map((name) => `  ${name}: ${wanted[name]}`);
  if (!isDebian) {
    throw new SetupStop([
      "found: a system without apt, so packages can't be installed from here",
      "would help: a machine with Debian or Ubuntu, or these programs from your distribution, and then `stacyvm serve`:",
      ...reasons,
    ]);
  }
  if (process.getuid?.() !== 0) {
    const lines = [
      "found: packages are missing, and this is not root:",
      ...reasons,
      `would help: sudo apt-get install --no-install-recommends ${missing.join(" ")}`,
    ];
    if (missing.some((name) => essential.includes(name))) throw new SetupStop(lines);
    for (const line of lines) say(line);
    return;
  }
  say("installing packages of the distribution (a minute or two):");
  for (const reason of reasons) say(reason);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  runQuietly("apt-get", ["-qq", "update"], { env });
  runQuietly("apt-get", ["-qq", "-y", "install", "--no-install-recommends", "--", ...missing], { env });
};
