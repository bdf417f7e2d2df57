import { readFile } from "node:fs/promises";
import type { Client, SpawnOptions } from "stacyvm";
import { UsageFailure } from "../failure.ts";
import type { Output } from "../output.ts";
import { networkOf } from "./network.ts";
import { pairsOf } from "./pairs.ts";

export interface SpawnFlags {
  readonly image: string;
  readonly provider?: string;
  readonly ttl?: string;
  readonly memory?: number;
  readonly vcpus?: number;
  readonly env: readonly string[];
  readonly envFrom?: string;
  readonly workdir?: string;
  readonly user?: string;
  readonly disk?: number;
  readonly security?: "default" | "restricted";
  readonly network?: string;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly inject: readonly string[];
  readonly secret: readonly string[];
  readonly label: readonly string[];
  readonly name?: string;
  readonly getOrCreate?: true;
  readonly idempotencyKey?: string;
}

/** A spawn may pull an image first, milliseconds. */
const spawnTimeoutMs = 15 * 60_000;

export async function spawnCommand(client: Client, output: Output, flags: SpawnFlags): Promise<void> {
  if (flags.getOrCreate && flags.name === undefined) throw new UsageFailure("--get-or-create needs a --name");
  const fromFile = flags.envFrom === undefined ? [] : await linesOf(flags.envFrom);
  const spec: SpawnOptions = {
    image: flags.image,
    provider: flags.provider,
    ttl: flags.ttl,
    memory_mb: flags.memory,
    vcpus: flags.vcpus,
    env: pairsOf("--env", [...fromFile, ...flags.env]),
    workdir: flags.workdir,
    user: flags.user,
    disk_mb: flags.disk,
    security: flags.security,
    ...networkOf(flags),
    secrets: flags.secret.length === 0 ? undefined : [...flags.secret],
    labels: pairsOf("--label", flags.label),
    name: flags.name,
    if_exists: flags.getOrCreate && "get",
  };
  const options = { timeoutMs: spawnTimeoutMs, idempotencyKey: flags.idempotencyKey };
  const sandbox = await client.spawn(spec, options);
  const done = flags.getOrCreate ? "is running" : "spawned";
  output.result(sandbox.info, `Sandbox ${sandbox.id} ${done} (provider: ${sandbox.provider}, image: ${sandbox.image})`);
}

/** NAME=value a line, as they stand; empty lines and those that begin with # count for nothing. */
async function linesOf(path: string): Promise<readonly string[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new UsageFailure(`--env-from ${path} can't be read`, { cause });
  }
  return text.split(/\r?\n/).filter((line) => !/^\s*(#|$)/.test(line));
}
