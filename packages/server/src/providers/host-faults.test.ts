import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ImageRoot } from "../images/image-store.ts";
import { busyboxImage, makeTestHost } from "./host.testing.ts";
import { type HostHelper, hostHelper } from "./host-helper.ts";
import { type HostSnapshot, hostSnapshot, leftBehind } from "./host-snapshot.testing.ts";
import { runtimeSpec } from "./oci/runtime-spec.ts";
import { sandboxSpec } from "./sandbox-spec.testing.ts";

const spawnSteps = ["directory", "slot", "mounts", "cgroup", "listener", "runtime", "record"].map((s) => `spawn.${s}`);
/** Of oci alone: its sandboxes here have an outbound network. */
const ociSteps = [...spawnSteps, "spawn.network"];
const destroySteps = ["killed", "runtime", "cgroups", "slot", "files"].map((step) => `destroy.${step}`);
const signal = () => AbortSignal.timeout(20_000);
const asRoot = process.getuid?.() === 0;
const runsc = "/usr/bin/runsc";

type Kind = "oci" | "gvisor" | "mock" | "proot";

describe("a crash of the host program", () => {
  let host: Awaited<ReturnType<typeof makeTestHost>>;
  let image: ImageRoot;
  let before: HostSnapshot;

  const helper = (kind: Kind, env: Record<string, string> = {}): HostHelper =>
    hostHelper({ ...host, env, ...(kind === "gvisor" ? { runtimePath: runsc } : {}) });

  const spawn = async (on: HostHelper, kind: Kind, id: string) => {
    const common = { sandbox_id: id, server_id: "test", generation: 3, disk_mb: 64 };
    if (kind === "mock") return on.call("spawn-mock", common, signal());
    if (kind === "proot") {
      const { disk_mb: file_mb, ...rest } = common;
      const more = { rootfs_path: image.rootfsPath, agent_uid: 0, file_mb, pids_max: 64, open_files: 1024 };
      return on.call("spawn-proot", { ...rest, ...more, host_network: false, egress: true }, signal());
    }
    const { cgroup_mode: mode, no_tun: noTun } = await on.call("probe", {}, signal());
    const egress = kind === "gvisor" || noTun === "";
    const config = runtimeSpec({
      sandbox: sandboxSpec({
        id,
        image,
        memoryMb: 128,
        pidsMax: 64,
        generation: 3,
        network: egress ? "egress" : "none",
      }),
      kind: kind === "gvisor" ? kind : "container",
      architecture: process.arch === "arm64" ? "arm64" : "x64",
      openFilesMax: 1024,
      hasCgroupDirectory: kind === "oci" && (mode === "unified" || mode === "hybrid"),
    });
    return on.call("spawn", { ...common, rootfs_path: image.rootfsPath, agent_uid: 0, egress, config }, signal());
  };

  const crashAt = async (step: string, kind: Kind): Promise<void> => {
    const id = `sb-${randomBytes(8).toString("hex")}`;
    const marker = join(host.dataRoot, `marker-${id}`);
    if (step.startsWith("destroy.")) {
      await using whole = helper(kind);
      await spawn(whole, kind, id);
    }
    {
      await using doomed = helper(kind, { STACYVM_FAILPOINT: step, STACYVM_FAILPOINT_FILE: marker });
      const under = step.startsWith("spawn.")
        ? spawn(doomed, kind, id)
        : doomed.call("destroy", { sandbox_id: id }, signal());
      await expect(under).rejects.toMatchObject({ reason: "provider_unavailable" });
    }
    expect(await readFile(marker, "utf8")).toBe(`${step}\n`);
    await rm(marker);
    await using next = helper(kind);
    const listed = (await next.call("list", {}, signal())).map((one) => one.sandbox_id);
    expect(listed).toEqual([id]);
    await next.call("destroy", { sandbox_id: id }, signal());
    expect(await next.call("list", {}, signal())).toEqual([]);
    await expect
      .poll(async () => leftBehind(before, await hostSnapshot(host)), { timeout: 10_000, interval: 20 })
      .toEqual([]);
  };

  beforeAll(async () => {
    host = await makeTestHost();
    image = await busyboxImage(join(host.dataRoot, "images/busybox"));
    await using first = helper("oci");
    if (asRoot) await spawn(first, "oci", "first");
    await first.call("destroy", { sandbox_id: "first" }, signal());
    before = await hostSnapshot(host);
  }, 60_000);

  afterAll(async () => {
    await rm(host.dataRoot, { recursive: true });
  });

  it.runIf(asRoot).each([...ociSteps, ...destroySteps])(
    "after %s of oci leaves only what list shows and destroy removes",
    async (step) => await crashAt(step, "oci"),
    30_000,
  );

  it.runIf(asRoot && existsSync(runsc)).each([...spawnSteps, ...destroySteps])(
    "after %s of oci under gVisor leaves only what list shows and destroy removes",
    async (step) => await crashAt(step, "gvisor"),
    30_000,
  );

  it.each([...spawnSteps.filter((step) => step !== "spawn.cgroup"), ...destroySteps])(
    "after %s of proot leaves only what list shows and destroy removes",
    async (step) => await crashAt(step, "proot"),
    30_000,
  );

  it.each([...spawnSteps.filter((step) => step !== "spawn.mounts"), ...destroySteps])(
    "after %s of mock leaves only what list shows and destroy removes",
    async (step) => await crashAt(step, "mock"),
    30_000,
  );
});
