import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Counts, countsLine, oneCheck, slowest, sumOf } from "./counts.ts";
import { missedBy, readRequired } from "./must-not-skip.ts";
import { type Outcome, type Stage, type StageContext, stages } from "./stages.ts";
import { threatModel, unproven } from "./unproven.ts";

/** `npm test`, `npm test -- --only unit --only "go test"`, `npm run test:long`. */
const root = resolve(import.meta.dirname, "..", "..");

const parse = (): { long: boolean; only: readonly string[] } => {
  const { values } = parseArgs({
    options: { long: { type: "boolean", default: false }, only: { type: "string", multiple: true, default: [] } },
  });
  const unknown = values.only.filter((name) => !stages.some((stage) => stage.name === name));
  if (unknown.length === 0) return values;
  throw new Error(`no stage is called ${unknown.join(", ")}: ${stages.map(({ name }) => name).join(", ")}`);
};

const runStage = async (stage: Stage, context: StageContext): Promise<Outcome> => {
  try {
    const outcome = await stage.run(context);
    const { passed, failed, skips } = outcome.counts;
    if (passed + failed + skips.length > 0) return outcome;
    return { counts: oneCheck(false), output: `${outcome.output}\nnothing ran\n` };
  } catch (error) {
    return { counts: oneCheck(false), output: `${error instanceof Error ? error.stack : error}\n` };
  }
};

const show = (stage: Stage, { counts, output }: Outcome, tookMs: number): void => {
  if (counts.failed > 0) process.stdout.write(`${output.trimEnd()}\n`);
  for (const { name, reason } of counts.skips) console.log(`   skipped  ${name}: ${reason}`);
  for (const line of slowest(counts)) console.log(`   slow  ${line}`);
  console.log(
    `   ${counts.failed > 0 ? "FAILED" : "ok"}  ${stage.name}: ${countsLine(counts)}  ${(tookMs / 1000).toFixed(1)} s`,
  );
};

const run = async (): Promise<Counts> => {
  const { long, only } = parse();
  const chosen = stages.filter((stage) =>
    only.length > 0 ? only.includes(stage.name) : long || stage.long === undefined,
  );
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const all: Counts[] = [];
  for (const stage of chosen) {
    if (stop.signal.aborted) {
      console.log("stopped");
      all.push(oneCheck(false));
      break;
    }
    console.log(`== ${stage.name}`);
    const startedMs = performance.now();
    const outcome = await runStage(stage, { root, signal: stop.signal });
    show(stage, outcome, performance.now() - startedMs);
    all.push(outcome.counts);
  }
  const total = sumOf(all);
  // A part of the stages can't miss a suite of the others.
  const missed = only.length > 0 ? [] : missedBy(readRequired(join(import.meta.dirname, "must-not-skip.json")), total);
  for (const complaint of missed) console.log(`must not skip: ${complaint}`);
  const claimed = only.length > 0 ? [] : unproven(threatModel(root), total, long);
  for (const complaint of claimed) console.log(`threat model: ${complaint}`);
  return { ...total, failed: total.failed + missed.length + claimed.length };
};

const counts = await run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  return oneCheck(false);
});
console.log(countsLine(counts));
process.exitCode = counts.failed > 0 ? 1 : 0;
