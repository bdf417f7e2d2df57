/**
 * Compares what a data directory owns on this host before and after a workload. Exits 1 when something is left over,
 * 2 when the workload itself fails.
 */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { sandboxesOf } from "../faults/api.ts";
import { makeFaultHost } from "../faults/server-process.ts";
import { configOf, faultTargets } from "../faults/targets.ts";
import { type LeakScope, leakKinds, ownSnapshot, settledLeftOver } from "./snapshot.ts";

const usage = `usage: npm run leaks [-- --provider NAME] [-- --n N]
       npm run leaks -- --data DIR [--database FILE] [--engine SOCKET]... -- COMMAND [ARGUMENT]...

Without a command: a server of its own makes, uses and destroys N sandboxes (20) by each provider, or by the one named.
With one: what the server of the data directory owns is compared before and after the command.
  --engine SOCKET  also look for this server's containers, volumes and networks at a container engine`;

/** Longest time for the kernel to free what was used last, milliseconds. */
const settleMs = 10_000;

const report = (left: readonly string[]): void => {
  if (left.length === 0) return void console.info("nothing is left over");
  console.info(`${left.length} left over`);
  for (const kind of leakKinds) {
    const names = left.filter((one) => one.startsWith(`${kind}: `));
    if (names.length === 0) continue;
    console.info(`  ${kind}: ${names.length}`);
    for (const name of names) console.info(`    ${name.slice(kind.length + 2)}`);
  }
};

const around = async (scope: LeakScope, work: () => Promise<void>): Promise<readonly string[]> => {
  const before = await ownSnapshot(scope);
  await work();
  return await settledLeftOver(before, scope, settleMs);
};

const command = async ([program = "", ...rest]: readonly string[]): Promise<void> => {
  const child = spawn(program, rest, { stdio: "inherit" });
  const outcome = await new Promise<string>((done, fail) => {
    child.once("error", fail);
    child.once("exit", (code, signal) => done(String(signal ?? code)));
  });
  if (outcome !== "0") throw new Error(`${program} ended with ${outcome}`);
};

const ownWorkload = async (providers: readonly string[], rounds: number): Promise<readonly string[]> => {
  const left: string[] = [];
  for (const target of faultTargets.filter(({ provider }) => providers.includes(provider))) {
    await using ground = await target.ground();
    await using host = await makeFaultHost(configOf(target, ground));
    const server = await host.start();
    const sandboxes = sandboxesOf(server.url);
    const once = async () => {
      const { id } = await sandboxes.spawn(target.provider);
      await sandboxes.sh(id, "echo used > file");
      await sandboxes.destroy(id);
    };
    await once(); // makes what all later ones share
    const found = await around({ dataDir: host.dataDir, engines: ground.engines, servers: [server.pid] }, async () => {
      for (let round = 0; round < rounds; round++) await once();
    });
    console.info(`${target.provider}: ${rounds} sandboxes made, used and destroyed`);
    left.push(...found);
  }
  return left;
};

const { values: flags, positionals } = parseArgs({
  options: {
    data: { type: "string" },
    database: { type: "string" },
    engine: { type: "string", multiple: true, default: [] },
    provider: { type: "string" },
    n: { type: "string", default: "20" },
    help: { type: "boolean", short: "h", default: false },
  },
  allowPositionals: true,
});
const names = faultTargets.map(({ provider }) => provider);
const rounds = Number(flags.n);
const isOwn = positionals.length === 0;
const mistake =
  isOwn === (flags.data !== undefined)
    ? "a command needs --data, and --data a command"
    : flags.provider !== undefined && !names.includes(flags.provider)
      ? `--provider takes ${names.join(", ")}`
      : !(Number.isInteger(rounds) && rounds > 0)
        ? "--n takes a positive integer"
        : undefined;
if (flags.help || mistake !== undefined) {
  console.error(flags.help ? usage : `${mistake}\n${usage}`);
  process.exit(flags.help ? 0 : 2);
}
try {
  const left = isOwn
    ? await ownWorkload(flags.provider === undefined ? names : [flags.provider], rounds)
    : await around(
        {
          dataDir: resolve(flags.data ?? ""),
          engines: flags.engine,
          ...(flags.database === undefined ? {} : { databasePath: resolve(flags.database) }),
        },
        () => command(positionals),
      );
  report(left);
  process.exitCode = left.length === 0 ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
