/**
 * Measures a real server from outside and holds it against its lines.
 * Usage: npm run bench -- [--only first-result,exec,streams,archive,terminal,followers,large-file,ports,api,access,idle,network,docker,docker-remapped,docker-gvisor,proot] [--n N] [--profile] — as root, after npm run build.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { access, accessKeys } from "./access.ts";
import { apiClient } from "./api-client.ts";
import { apiLoad } from "./api-load.ts";
import { archive } from "./archive.ts";
import { docker } from "./docker.ts";
import { execRoundTrip } from "./exec-round-trip.ts";
import { followers } from "./followers.ts";
import { idleMemory } from "./idle-memory.ts";
import type { Item, ItemResult } from "./item.ts";
import { largeFile, largeFileKeys } from "./large-file.ts";
import { network } from "./network.ts";
import { ports } from "./ports.ts";
import { proot, prootKeys } from "./proot.ts";
import { startServerProcess } from "./server-process.ts";
import { streams } from "./streams.ts";
import { terminal } from "./terminal.ts";
import { timeToFirstResult } from "./time-to-first-result.ts";

const items: Readonly<Record<string, Item>> = {
  "first-result": timeToFirstResult,
  exec: execRoundTrip,
  streams,
  archive,
  terminal,
  followers,
  "large-file": largeFile,
  ports,
  api: apiLoad,
  access,
  idle: idleMemory,
  network,
  docker: docker({ execMaxMs: 5 }),
  "docker-remapped": docker({ remap: true, execMaxMs: 5 }),
  "docker-gvisor": docker({ runtime: "runsc", execMaxMs: 15 }),
  proot,
};
/** What an item's server is configured with beyond the others'. */
const keysOf: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "large-file": largeFileKeys,
  access: accessKeys,
  proot: prootKeys,
};
const root = resolve(import.meta.dirname, "../..");
const results = join(root, "test-results");

const { values: flags } = parseArgs({
  options: { only: { type: "string" }, n: { type: "string" }, profile: { type: "boolean", default: false } },
});
const wanted = flags.only?.split(",") ?? Object.keys(items);
const unknown = wanted.filter((name) => !Object.hasOwn(items, name));
const n = flags.n === undefined ? undefined : Number(flags.n);
if (unknown.length > 0 || (n !== undefined && !(Number.isInteger(n) && n > 0))) {
  console.error(`--only takes ${Object.keys(items).join(", ")}; --n a positive integer`);
  process.exit(2);
}

await mkdir(results, { recursive: true });
const startedAt = new Date().toISOString();
const measured: Record<string, ItemResult & { readonly load_before: number; readonly load_after: number }> = {};
for (const name of wanted) {
  const item = items[name];
  if (item === undefined) continue;
  const nodeArgs = flags.profile ? ["--cpu-prof", `--cpu-prof-dir=${join(results, `profile-${name}`)}`] : [];
  // A server for each item: none finds what another has left in its memory.
  await using server = await startServerProcess({ nodeArgs, keys: keysOf[name] ?? {} });
  using api = apiClient(server.url);
  const load_before = loadavg()[0] ?? Number.NaN;
  console.log(`\n${name} (load ${load_before.toFixed(2)})`);
  const result = await item({ server, api, n, agentPath: join(root, "build", "stacyvm-agent") });
  measured[name] = { load_before, load_after: loadavg()[0] ?? Number.NaN, ...result };
  for (const line of result.lines) {
    console.log(
      `  ${line.reached ? "reached" : "MISSED "}  ${line.what.padEnd(48)} ${line.wanted.padEnd(14)} got ${line.got}`,
    );
  }
}
const report = {
  started_at: startedAt,
  command: `npm run bench -- ${process.argv.slice(2).join(" ")}`.trim(),
  hardware: {
    cores: cpus().length,
    model: cpus()[0]?.model,
    memory_mb: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: process.version,
  },
  items: measured,
};
const file = join(results, `bench-${startedAt.replace(/[:.]/g, "-")}.json`);
await writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`);
console.log(`\n${file}`);
