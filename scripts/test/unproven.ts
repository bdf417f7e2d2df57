import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { quotedRows } from "../../test/docs/quoted-tests.ts";
import type { Counts } from "./counts.ts";

interface QuotedTest {
  readonly file: string;
  readonly name: string;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** What a test of a table is called once its values are in its name. */
const titlePattern = (name: string): string =>
  name
    .split(/(%[sdifjoO]|\$\{\w+\}|\$\w+)/)
    .map((part, at) => (at % 2 === 1 ? ".+" : escaped(part)))
    .join("");

/** The names, as stages list them, that a test may run under. Suites that several files share run under theirs. */
const nameOf = ({ file, name }: QuotedTest): RegExp => {
  if (file.endsWith(".go")) return new RegExp(`^${escaped(`stacyvm/${dirname(file)} ${name}`)}(/|$)`);
  const where = file.endsWith(".test.ts") ? escaped(file) : "\\S+";
  return new RegExp(`^${where} (.* > )?${titlePattern(name)}$`);
};

/**
 * Complaints about threats that are called mitigated though a test they name did not pass in this run: skipped everywhere,
 * or not run at all. A test that failed is a failure already.
 */
export const unproven = (markdown: string, { seen, skips }: Counts, long: boolean): string[] => {
  const skipped = new Set(skips.map(({ name }) => name));
  const ran = seen.filter((name) => !skipped.has(name));
  const tests = quotedRows(markdown, ["mitigated"]).flatMap((row) => row.tests);
  return tests
    .filter(({ file }) => long || !file.endsWith(".long.test.ts"))
    .filter((one) => {
      const pattern = nameOf(one);
      return !ran.some((name) => pattern.test(name));
    })
    .map(({ file, name }) => `a threat is called mitigated, and ${file} "${name}" did not pass in this run`);
};

export const threatModel = (root: string): string => readFileSync(join(root, "docs/security/threat-model.md"), "utf8");
