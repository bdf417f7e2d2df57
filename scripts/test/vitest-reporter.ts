import { writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestModule } from "vitest/node";
import { type Counts, type Skip, unexplained } from "./counts.ts";

/** Variable that names the file to write the counts to. */
export const countsFileVariable = "STACYVM_TEST_COUNTS";

const countModule = (module: TestModule): Counts => {
  let passed = 0;
  let failed = module.errors().length;
  const skips: Skip[] = [];
  const seen: string[] = [];
  for (const suite of module.children.allSuites()) failed += suite.errors().length;
  for (const test of module.children.allTests()) {
    const name = `${module.relativeModuleId} ${test.fullName}`;
    const result = test.result();
    seen.push(name);
    if (result.state === "passed") passed += 1;
    else if (result.state === "skipped") skips.push({ name, reason: result.note ?? unexplained });
    else failed += 1;
  }
  if (failed === 0 && module.state() === "failed") failed = 1;
  return { passed, failed, skips, seen };
};

/** Writes what ran as JSON; a test that never finished, a file that didn't load and a stray error are failures. */
export default class CountsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const all = modules.map(countModule);
    const counts: Counts = {
      passed: all.reduce((sum, { passed }) => sum + passed, 0),
      failed: all.reduce((sum, { failed }) => sum + failed, errors.length),
      skips: all.flatMap(({ skips }) => skips),
      seen: all.flatMap(({ seen }) => seen),
      tookMs: Object.fromEntries(modules.map((module) => [module.relativeModuleId, module.diagnostic().duration])),
    };
    const file = process.env[countsFileVariable];
    if (file !== undefined) writeFileSync(file, JSON.stringify(counts));
  }
}
