import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ImageRoot } from "../../packages/server/src/images/image-store.ts";
import { runtimeSpec } from "../../packages/server/src/providers/oci/runtime-spec.ts";
import { sandboxSpec } from "../../packages/server/src/providers/sandbox-spec.testing.ts";

const uidBase = 0x60000000;

/**
 * `runc run` of `true` by hand with the configuration that sandboxes get and a copy of their image, its owner changed
 * instead of mapped and without an overlay. Each call resolves to its time in milliseconds.
 */
export const runcRun = (options: {
  readonly image: ImageRoot;
  readonly directory: string;
  readonly agentPath: string;
  readonly runtimePath: string;
  readonly memoryMb: number;
}): (() => number) => {
  const bundle = join(options.directory, "raw");
  mkdirSync(bundle, { mode: 0o711 });
  execFileSync("cp", ["-a", options.image.rootfsPath, join(bundle, "rootfs")]);
  execFileSync("chown", ["-R", `${uidBase}:${uidBase}`, join(bundle, "rootfs")]);

  return () => {
    const id = `sb-${randomBytes(8).toString("hex")}`;
    const config = runtimeSpec({
      sandbox: sandboxSpec({ id, image: options.image, memoryMb: options.memoryMb, diskMb: 1024 }),
      kind: "container",
      architecture: process.arch === "arm64" ? "arm64" : "x64",
      openFilesMax: 1024,
      hasCgroupDirectory: true,
    });
    const mapping = [{ containerID: 0, hostID: uidBase, size: 65536 }];
    const complete = {
      ...config,
      process: { ...config.process, args: ["/bin/true"] },
      mounts: config.mounts.map((mount) => (mount.type === "bind" ? { ...mount, source: options.agentPath } : mount)),
      root: { path: join(bundle, "rootfs"), readonly: false },
      linux: { ...config.linux, uidMappings: mapping, gidMappings: mapping, cgroupsPath: `/stacyvm-raw-${id}` },
    };
    writeFileSync(join(bundle, "config.json"), JSON.stringify(complete));
    const startedAt = performance.now();
    const root = join(options.directory, "raw-state");
    execFileSync(options.runtimePath, ["--root", root, "run", "--bundle", bundle, id]);
    return performance.now() - startedAt;
  };
};
