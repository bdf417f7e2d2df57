import { execFileSync } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { ImageRoot } from "../images/image-store.ts";

const native = resolve(import.meta.dirname, "../../../../native");

/** Builds one of the native programs into the directory. */
export const buildNative = (program: string, directory: string): string => {
  const path = join(directory, program);
  execFileSync("go", ["build", "-trimpath", "-o", path, `./cmd/${program}`], {
    cwd: native,
    env: { ...process.env, CGO_ENABLED: "0" },
  });
  return path;
};

/** The smallest root file system with a shell. */
export const busyboxImage = async (rootfsPath: string): Promise<ImageRoot> => {
  for (const name of ["bin", "proc", "sys", "dev", "tmp", "etc"])
    await mkdir(join(rootfsPath, name), { recursive: true });
  await chmod(join(rootfsPath, "tmp"), 0o1777);
  const busybox = join(rootfsPath, "bin/busybox");
  await copyFile("/bin/busybox", busybox);
  const applets = execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n");
  for (const name of applets) if (name !== "busybox") await symlink("busybox", join(rootfsPath, "bin", name));
  await writeFile(join(rootfsPath, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/workspace:/bin/sh\n");
  return { digest: `sha256:${"0".repeat(64)}`, rootfsPath, env: {} };
};

/** kill -9 of every program that was started from this path with the verb `serve`. */
export const killServing = async (programPath: string): Promise<void> => {
  for (const pid of await readdir("/proc")) {
    const argv = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (argv.startsWith(`${programPath}\0serve\0`)) process.kill(Number(pid), "SIGKILL");
  }
};

/** A data root that sandboxes' users can pass, with the native programs in it. */
export const makeTestHost = async () => {
  const dataRoot = await mkdtemp(join(tmpdir(), "stacyvm-"));
  await chmod(dataRoot, 0o711);
  const programs = join(dataRoot, "programs");
  await mkdir(programs, { mode: 0o755 });
  return {
    dataRoot,
    programPath: buildNative("stacyvm-host", programs),
    agentPath: buildNative("stacyvm-agent", programs),
  };
};
