import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { security } from "./command.ts";
import { controls } from "./controls.ts";
import { verdictsIn, verdictWord } from "./report.ts";
import { targets } from "./targets.ts";

const committed = readFileSync(resolve(import.meta.dirname, "../../docs/security/attacks.md"), "utf8");

// The race alone takes 19 minutes where each system call is traced.
const wholeRunMs = 3_600_000;

// With 10,000 rounds of the race, 10 GB of output, and the neighbour's times.
const ids = targets.map(({ id }) => id);
test.each(ids)("every attack on %s ends as attacks.md says", { timeout: wholeRunMs }, async (target) => {
  const { results, errors } = await security("--target", target);
  expect(errors).toBe("");
  expect(results.filter(({ expected }) => !expected)).toEqual([]);
  const said = results.map((result) => [`${target} ${result.id}`, verdictWord(result)]);
  const promised = [...verdictsIn(committed)].filter(([cell]) => cell.startsWith(`${target} `));
  expect(Object.fromEntries(said)).toEqual(Object.fromEntries(promised));
});

test.each(Object.keys(controls))("without %s exactly the rows that it holds are red, of all", async (control) => {
  const { status, results, errors } = await security("--break", control, "--quick", "--patience", "5");
  expect({ status, errors, red: results.some(({ expected }) => !expected) }).toEqual({
    status: 0,
    errors: "",
    red: true,
  });
});
