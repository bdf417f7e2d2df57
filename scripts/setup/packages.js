import { existsSync } from "node:fs";
import { CannotSetUp, read, run, say } from "./run.js";

/** Debian's packages, each with what it is for. */
const forRunning = {
  runc: "starts sandboxes",
  skopeo: "pulls images",
  umoci: "unpacks images",
  mmdebstrap: "builds a base image where no registry answers",
  e2fsprogs: "formats sandboxes' disks",
  "xz-utils": "reads compressed root file systems",
};
const forTesting = {
  "busybox-static": "the smallest root file system of the tests",
  "docker-registry": "a real registry to pull from",
  gcc: "the race detector",
  "libc6-dev": "the race detector",
  "musl-tools": "a root file system with musl",
  "qemu-user-static": "the arm64 agent",
  postgresql: "the other database",
  "python3-venv": "the published Python client",
};

const isInstalled = (name) =>
  read("dpkg-query", ["--show", `--showformat=\${db:Status-Status}`, name])?.trim() === "installed";

/** Installs what is missing and says why. Throws CannotSetUp where it may not or can't. */
export function installPackages(profile) {
  const wanted = profile === "test" ? { ...forRunning, ...forTesting } : forRunning;
  if (!existsSync("/usr/bin/dpkg-query")) {
    throw new CannotSetUp(
      `This is no Debian or Ubuntu. Install by hand, then try again: ${Object.keys(wanted).join(" ")}`,
    );
  }
  const missing = Object.keys(wanted).filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    throw new CannotSetUp(
      `Packages are missing and only root may install them: sudo apt-get install ${missing.join(" ")}`,
    );
  }
  for (const name of missing) say(`installing ${name}: ${wanted[name]}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["update", "-q"], { env });
  run("apt-get", ["install", "-q", "-y", "--no-install-recommends", ...missing], { env });
}
