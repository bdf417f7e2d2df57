import { execFileSync } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connectGuest } from "../guest/agent/connect-guest.ts";
import type { ImageRoot } from "../images/image-store.ts";
import { type HostHelper, hostHelper } from "./host-helper.ts";
import { mockProvider } from "./mock/mock.ts";
import { ociProvider } from "./oci/oci.ts";
import type { Provider } from "./provider.ts";
import { describeProvider, type ProviderUnderTest } from "./provider-contract.ts";

const native = resolve(import.meta.dirname, "../../../../native");

const build = (program: string, directory: string): string => {
  const path = join(directory, program);
  execFileSync("go", ["build", "-trimpath", "-o", path, `./cmd/${program}`], {
    cwd: native,
    env: { ...process.env, CGO_ENABLED: "0" },
  });
  return path;
};

/** The smallest root file system with a shell. */
const busyboxImage = async (rootfsPath: string): Promise<ImageRoot> => {
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
const killServing = async (programPath: string): Promise<void> => {
  for (const pid of await readdir("/proc")) {
    const argv = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (argv.startsWith(`${programPath}\0serve\0`)) process.kill(Number(pid), "SIGKILL");
  }
};

const make =
  (provider: (helper: HostHelper) => Provider, needsImage: boolean) => async (): Promise<ProviderUnderTest> => {
    const dataRoot = await mkdtemp(join(tmpdir(), "stacyvm-"));
    await chmod(dataRoot, 0o711);
    const programs = join(dataRoot, "programs");
    await mkdir(programs, { mode: 0o755 });
    const programPath = build("stacyvm-host", programs);
    const agentPath = build("stacyvm-agent", programs);
    const image = needsImage ? await busyboxImage(join(dataRoot, "images/busybox")) : undefined;
    let helper: HostHelper;
    const open = () => {
      helper = hostHelper({ programPath, dataRoot, agentPath });
      return provider(helper);
    };
    return {
      dataRoot,
      image,
      open,
      async crash() {
        await killServing(programPath);
      },
      async close() {
        await helper[Symbol.asyncDispose]();
        await rm(dataRoot, { recursive: true });
      },
    };
  };

const serverId = "test";

describeProvider({
  name: "oci",
  mustNotSkip: process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("oci") ?? false,
  make: make((helper) => ociProvider({ serverId, helper, connectGuest, runtimePath: "/usr/sbin/runc" }), true),
});

describeProvider({
  name: "mock",
  mustNotSkip: process.env.STACYVM_TEST_MUST_NOT_SKIP?.includes("mock") ?? false,
  make: make((helper) => mockProvider({ serverId, helper, connectGuest }), false),
});
