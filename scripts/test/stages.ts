import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type Counts, oneCheck } from "./counts.ts";
import { goCounts, goOutput } from "./go-counts.ts";
import { type CommandOptions, runCommand } from "./run-command.ts";
import { countsFileVariable } from "./vitest-reporter.ts";

export interface Outcome {
  readonly counts: Counts;
  /** Shown when something failed. */
  readonly output: string;
}

export interface StageContext {
  readonly root: string;
  readonly signal: AbortSignal;
}

export interface Stage {
  readonly name: string;
  /** Only with `--long`. */
  readonly long?: true;
  run(context: StageContext): Promise<Outcome>;
}

const minuteMs = 60_000;
const checkTimeoutMs = 5 * minuteMs;
const suiteTimeoutMs = 30 * minuteMs;
/** The attacks on all walls take an hour and a half of it. */
const longTimeoutMs = 300 * minuteMs;
/** Inputs of each target. By a time the engine's end is a race in Go before 1.27: "context deadline exceeded", and no input. */
const fuzzInputs = 25_000;
const longFuzzInputs = 1_500_000;

const check = (name: string, argv: readonly string[], folder = "."): Stage => ({
  name,
  run: async ({ root, signal }) => {
    const { ok, output } = await runCommand(argv, { cwd: join(root, folder), timeoutMs: checkTimeoutMs, signal });
    return { counts: oneCheck(ok), output };
  },
});

const readCounts = (file: string): Counts => {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return oneCheck(false);
  }
};

const vitest = (project: string, timeoutMs = suiteTimeoutMs): Stage => ({
  name: project,
  run: async ({ root, signal }) => {
    const folder = mkdtempSync(join(tmpdir(), "stacyvm-counts-"));
    const file = join(folder, "counts.json");
    const reporters = ["--reporter=default", "--reporter=./scripts/test/vitest-reporter.ts"];
    const argv = ["vitest", "run", "--project", project, "--no-color", ...reporters];
    const { ok, output } = await runCommand(argv, {
      cwd: root,
      timeoutMs,
      signal,
      env: { [countsFileVariable]: file, NO_COLOR: "1" },
    });
    const counts = readCounts(file);
    rmSync(folder, { recursive: true });
    // Red without a red test: the runner itself failed.
    return { counts: ok || counts.failed > 0 ? counts : { ...counts, failed: 1 }, output };
  },
});

const goTest: Stage = {
  name: "go test",
  run: async ({ root, signal }) => {
    const argv = ["go", "test", "-race", "-json", "./..."];
    const options = { cwd: join(root, "native"), timeoutMs: suiteTimeoutMs, signal };
    const { ok, output } = await runCommand(argv, options);
    const counts = goCounts(output);
    return { counts: ok || counts.failed > 0 ? counts : { ...counts, failed: 1 }, output: goOutput(output) };
  },
};

/** `pkg FuzzName` for each fuzz target: `go test -list` prints the names of a package before its verdict. */
export const fuzzTargets = (listing: string): readonly (readonly [pkg: string, target: string])[] => {
  const names: string[] = [];
  return listing.split("\n").flatMap((line) => {
    if (/^Fuzz\w*$/.test(line)) names.push(line);
    const pkg = /^ok\s+(\S+)/.exec(line)?.[1];
    return pkg === undefined ? [] : names.splice(0).map((name) => [pkg, name] as const);
  });
};

const fuzz = (name: string, inputs: number, timeoutMs: number): Stage => ({
  name,
  run: async ({ root, signal }) => {
    const options: CommandOptions = { cwd: join(root, "native"), timeoutMs, signal };
    const listing = await runCommand(["go", "test", "-list", "^Fuzz", "./..."], options);
    if (!listing.ok) return { counts: oneCheck(false), output: listing.output };
    let [passed, failed, output] = [0, 0, ""];
    const targets = [...fuzzTargets(listing.output)];
    /** A target for each processor, one worker each. */
    const lane = async () => {
      for (let next = targets.shift(); next !== undefined; next = targets.shift()) {
        const [pkg, target] = next;
        const fuzzing = ["-fuzz", `^${target}$`, "-fuzztime", `${inputs}x`, "-parallel", "1"];
        const result = await runCommand(["go", "test", "-run", "^$", ...fuzzing, pkg], options);
        if (result.ok) passed += 1;
        else [failed, output] = [failed + 1, output + result.output];
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, lane));
    return { counts: { passed, failed, skips: [], seen: [] }, output };
  },
});

/** Every stage, in the order in which a fault is cheapest to find. */
export const stages: readonly Stage[] = [
  check("build", ["node", "scripts/build.js"]),
  check("types", ["tsc", "-p", "tsconfig.json"]),
  check("style", ["biome", "check", "--error-on-warnings", "."]),
  check("floors", ["node", "scripts/floors.ts"]),
  check("unused code", ["knip", "--strict"]),
  check("unused scripts", ["knip"]),
  check("drift", ["node", "scripts/generate.js", "--check"]),
  check("openapi", ["redocly", "lint", "docs/generated/openapi.json"]),
  vitest("unit"),
  vitest("contract"),
  check("go vet", ["go", "vet", "./..."], "native"),
  check("staticcheck", ["go", "tool", "staticcheck", "./..."], "native"),
  goTest,
  vitest("e2e"),
  vitest("network"),
  fuzz("fuzz", fuzzInputs, checkTimeoutMs),
  { ...vitest("long", longTimeoutMs), long: true },
  { ...fuzz("long fuzz", longFuzzInputs, longTimeoutMs), long: true },
];
