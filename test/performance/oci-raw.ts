/**
 * How much the oci provider adds to its runtime: spawn until a first command has run, and destroy, beside `runc run` of
 * `true` with the same configuration and root file system, alternating in one run.
 * Usage: node test/performance/oci-raw.ts [rounds] [burst] — as root.
 */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { connectGuest } from "../../packages/server/src/guest/agent/connect-guest.ts";
import { busyboxImage, makeTestHost } from "../../packages/server/src/providers/host.testing.ts";
import { hostHelper } from "../../packages/server/src/providers/host-helper.ts";
import { ociProvider } from "../../packages/server/src/providers/oci/oci.ts";
import type { Runtime, SandboxSpec } from "../../packages/server/src/providers/provider.ts";
import { sandboxSpec } from "../../packages/server/src/providers/sandbox-spec.testing.ts";
import { timesOf } from "./figures.ts";
import { runcRun } from "./runc-run.ts";

const rounds = Number(process.argv[2] ?? 50);
const burst = Number(process.argv[3] ?? 50);
const runtimePath = "/usr/sbin/runc";
const signal = () => AbortSignal.timeout(60_000);

const host = await makeTestHost();
const image = await busyboxImage(join(host.dataRoot, "images/busybox"));
const sandbox = (): SandboxSpec => sandboxSpec({ id: `sb-${randomBytes(8).toString("hex")}`, image, diskMb: 1024 });

const rawRun = runcRun({ image, directory: host.dataRoot, agentPath: host.agentPath, runtimePath, memoryMb: 256 });

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
  raw?.push(rawRun());
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
  create_to_first_result_ms: timesOf(first ?? []),
  spawn_ms: timesOf(spawn ?? []),
  second_exec_ms: timesOf(exec ?? []),
  destroy_ms: timesOf(destroy ?? []),
  runc_run_true_ms: timesOf(raw ?? []),
  burst: { n: burst, wall_ms: Math.round(burstMs), destroy_wall_ms: Math.round(burstDestroyMs) },
};
process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
