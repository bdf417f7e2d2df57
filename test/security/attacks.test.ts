import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { cannotAttack, security } from "./command.ts";
import { verdictsIn, verdictWord } from "./report.ts";
import type { Result } from "./run.ts";
import { attacks } from "./table.ts";

const committed = readFileSync(resolve(import.meta.dirname, "../../docs/security/attacks.md"), "utf8");
const runTimeoutMs = 300_000;
const quick = ["--quick", "--patience", "5"];

// The walls that every change could weaken; the others are attacked in attacks.long.test.ts.
describe.each(["oci-runc", "oci-restricted"])("%s", (target) => {
  let results = new Map<string, Result>();

  beforeAll(async () => {
    if (cannotAttack() !== undefined) return;
    const run = await security("--target", target, ...quick);
    if (run.results.length === 0) throw new Error(`nothing was tried: ${run.errors}`);
    results = new Map(run.results.map((result) => [result.id, result]));
  }, runTimeoutMs);

  test.for(attacks.filter(({ long }) => !long).map(({ id }) => id))("%s ends as attacks.md says", (id, { skip }) => {
    const reason = cannotAttack();
    if (reason !== undefined) skip(reason);
    const result = results.get(id);
    expect(result).toMatchObject({ id, target, expected: true });
    expect(verdictWord(result as Result)).toBe(verdictsIn(committed).get(`${target} ${id}`));
  });
});

test("attacks.md has a verdict in every cell, and a reason for each that isn't stopped", () => {
  const verdicts = verdictsIn(committed);
  expect(
    [...verdicts.values()].filter((verdict) => !["stopped", "not promised", "not tried"].includes(verdict)),
  ).toEqual([]);
  expect(verdicts.size).toBeGreaterThan(attacks.length);
});

// Cheap ones; every control in attacks.long.test.ts.
test.each(["seccomp", "masked-paths", "no-new-privs"])(
  "without %s exactly the rows that it holds are red",
  { timeout: runTimeoutMs },
  async (control) => {
    const { status, results, errors } = await security("--break", control, "--class", "B", ...quick);
    expect({ status, errors, red: results.some(({ expected }) => !expected) }).toEqual({
      status: 0,
      errors: "",
      red: true,
    });
  },
);
