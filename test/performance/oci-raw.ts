/**
 * How much the oci provider adds to its runtime: spawn until a first command has run, and destroy, beside `runc run` of
 * `true` with the same configuration and root file system, alternating in one run.
 * Usage: node test/performance/oci-raw.ts [rounds] [burst] — as root.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectGuest } from "../../packages/server/src/guest/agent/connect-guest.ts";
import { busyboxImage, makeTestHost } from "../../packages/server/src/providers/host.testing.ts";
import { hostHelper } from "../../packages/server/src/providers/host-helper.ts";
import { ociProvider } from "../../packages/server/src/providers/oci/oci.ts";
import { runtimeSpec } from "../../packages/server/src/providers/oci/runtime-spec.ts";
import type { Runtime, SandboxSpec } from "../../packages/server/src/providers/provider.ts";

const rounds = Number(process.argv[2] ?? 50);
const burst = Number(process.argv[3] ?? 50);
const runtimePath = "/usr/sbin/runc";
const uidBase = 0x60000000;
const signal = () => AbortSignal.timeout(60_000);

const host = await makeTestHost();
const image = await busyboxImage(join(host.dataRoot, "images/busybox"));
const sandbox = (): SandboxSpec => ({
  id: `sb-${randomBytes(8).toString("hex")}`,
  image,
  memoryMb: 256,
  vcpus: 1,
  diskMb: 1024,
  pidsMax: 128,
  security: "default",
  network: "none",
  generation: 1,
});

const bundle = join(host.dataRoot, "raw");
await mkdir(bundle, { mode: 0o711 });
execFileSync("cp", ["-a", image.rootfsPath, join(bundle, "rootfs")]);
execFileSync("chown", ["-R", `${uidBase}:${uidBase}`, join(bundle, "rootfs")]);

const rawRun = async (): Promise<number> => {
  const spec = sandbox();
  const config = runtimeSpec({
    sandbox: spec,
    architecture: process.arch === "arm64" ? "arm64" : "x64",
    openFilesMax: 1024,
    hasCgroupDirectory: true,
  });
  const mapping = [{ containerID: 0, hostID: uidBase, size: 65536 }];
  const complete = {
    ...config,
    process: { ...config.process, args: ["/bin/true"] },
    mounts: config.mounts.map((mount) => (mount.type === "bind" ? { ...mount, source: host.agentPath } : mount)),
    root: { path: join(bundle, "rootfs"), readonly: false },
    linux: { ...config.linux, uidMappings: mapping, gidMappings: mapping, cgroupsPath: `/stacyvm-raw-${spec.id}` },
  };
  await writeFile(join(bundle, "config.json"), JSON.stringify(complete));
  const started = performance.now();
  execFileSync(runtimePath, ["--root", join(host.dataRoot, "raw-state"), "run", "--bundle", bundle, spec.id]);
  return performance.now() - started;
};

const quantile = (values: readonly number[], q: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
};
const summary = (values: readonly number[]) => ({
  n: values.length,
  p50: Number(quantile(values, 0.5).toFixed(1)),
  p95: Number(quantile(values, 0.95).toFixed(1)),
});

const helper = hostHelper({ ...host, runtimePath });
const provider = ociProvider({ serverId: "bench", helper, connectGuest, runtimePath });
const spawnToResult = async (): Promise<Runtime> => {
  const runtime = await provider.spawn(sandbox(), signal());
  await runtime.guest.run({ argv: ["/bin/true"], maxOutputBytes: 1024 }, signal());
  return runtime;
};

const [first, spawn, exec, destroy, raw]: number[][] = [[], [], [], [], []];
await (await spawnToResult()).destroy(signal());
for (let round = 0; round < rounds; round++) {
  const started = performance.now();
  const runtime = await provider.spawn(sandbox(), signal());
  const spawned = performance.now();
  await runtime.guest.run({ argv: ["/bin/true"], maxOutputBytes: 1024 }, signal());
  const answered = performance.now();
  await runtime.guest.run({ argv: ["/bin/true"], maxOutputBytes: 1024 }, signal());
  const again = performance.now();
  await runtime.destroy(signal());
  destroy?.push(performance.now() - again);
  exec?.push(again - answered);
  spawn?.push(spawned - started);
  first?.push(answered - started);
  raw?.push(await rawRun());
}
const burstStarted = performance.now();
const made = await Promise.all(Array.from({ length: burst }, spawnToResult));
const burstMs = performance.now() - burstStarted;
const destroyStarted = performance.now();
await Promise.all(made.map((runtime) => runtime.destroy(signal())));
const burstDestroyMs = performance.now() - destroyStarted;

await helper[Symbol.asyncDispose]();
await rm(host.dataRoot, { recursive: true });
const figures = {
  create_to_first_result_ms: summary(first ?? []),
  spawn_ms: summary(spawn ?? []),
  second_exec_ms: summary(exec ?? []),
  destroy_ms: summary(destroy ?? []),
  runc_run_true_ms: summary(raw ?? []),
  burst: { n: burst, wall_ms: Math.round(burstMs), destroy_wall_ms: Math.round(burstDestroyMs) },
};
process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
