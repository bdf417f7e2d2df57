/**
 * Attacks each wall from inside and says what came of it.
 * Usage: npm run security -- [--target ID]… [--only ID]… [--class A|B|C|D]… [--break CONTROL] [--quick] [--patience N] [--json] [--write] — as root.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { networkRows } from "../network/rows.ts";
import { runNetworkRows } from "../network/run.ts";
import { networkTargets } from "../network/targets.ts";
import { controls } from "./controls.ts";
import { refusedByKernel } from "./host-kernel.ts";
import { furnishNetwork, isIsolated, runIsolated, stopSignal } from "./isolate.ts";
import { lineOf, markdownOf } from "./report.ts";
import { type Result, runAttacks } from "./run.ts";
import { attacks, classTitles } from "./table.ts";
import { targets } from "./targets.ts";

const document = join(resolve(import.meta.dirname, "../.."), "docs/security/attacks.md");

const oneOf = (what: string, names: readonly string[], wanted: readonly string[]): void => {
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no ${what} ${unknown.join(", ")}: ${names.join(", ")}`);
};

const flags = () => {
  const { values } = parseArgs({
    options: {
      target: { type: "string", multiple: true, default: [] },
      class: { type: "string", multiple: true, default: [] },
      only: { type: "string", multiple: true, default: [] },
      break: { type: "string" },
      quick: { type: "boolean", default: false },
      patience: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  oneOf(
    "target",
    [...targets, ...networkTargets].map(({ id }) => id),
    values.target,
  );
  oneOf(
    "attack",
    [...attacks, ...networkRows].map(({ id }) => id),
    values.only,
  );
  oneOf("class", Object.keys(classTitles), values.class);
  if (values.break !== undefined) oneOf("control", Object.keys(controls), [values.break]);
  const patience = Number(values.patience);
  if (!(patience >= 1)) throw new Error("--patience is a number from 1 on");
  if (values.write && values.break !== undefined) throw new Error("--write takes no --break");
  return { ...values, patience };
};

const main = async (): Promise<number> => {
  const wanted = flags();
  if (process.getuid?.() !== 0) throw new Error("run it as root: it makes sandboxes, and namespaces around them");
  if (!isIsolated()) return await runIsolated();
  furnishNetwork();
  const stop = stopSignal();
  const broken = wanted.break === undefined ? undefined : controls[wanted.break];
  const chosen = attacks.filter(
    ({ id, kind, long }) =>
      (wanted.only.length === 0 || wanted.only.includes(id)) &&
      (wanted.class.length === 0 || wanted.class.includes(kind)) &&
      // Loads without a bound, and nothing to hold them, would be the host's own.
      !((wanted.quick || broken !== undefined) && long),
  );
  const names =
    wanted.target.length > 0 ? wanted.target : broken === undefined ? targets.map(({ id }) => id) : [broken.target];
  const results: Result[] = [];
  for (const target of targets.filter(({ id }) => names.includes(id))) {
    if (!wanted.json) console.log(`\n${target.id}${broken === undefined ? "" : `, ${broken.title}`}`);
    const options = {
      stop,
      target,
      attacks: chosen,
      quick: wanted.quick,
      patience: wanted.patience,
      broken,
    };
    const onResult = wanted.json ? () => {} : (result: Result) => console.log(lineOf(result));
    results.push(...(await runAttacks({ ...options, onResult })));
  }
  const ways = broken === undefined && (wanted.class.length === 0 || wanted.class.includes("D")) ? networkRows : [];
  const ids = ways.map(({ id }) => id).filter((id) => wanted.only.length === 0 || wanted.only.includes(id));
  for (const target of networkTargets.filter(({ id }) => wanted.target.length === 0 || wanted.target.includes(id))) {
    if (ids.length === 0) break;
    if (!wanted.json) console.log(`\n${target.id}`);
    const onResult = wanted.json ? () => {} : (result: Result) => console.log(lineOf(result));
    results.push(...(await runNetworkRows({ target, ids, stop, onResult })));
  }
  if (wanted.json) console.log(JSON.stringify(results));
  const red = results.filter(({ expected }) => !expected);
  if (wanted.break !== undefined) return judgeBreak(wanted.break, results, red, wanted.json);
  if (wanted.write) await writeFile(document, markdownOf(results, await readFile(document, "utf8").catch(() => "")));
  if (!wanted.json) {
    console.log(
      `\n${results.length} attacks, ${results.filter(({ verdict }) => verdict === "stopped").length} stopped, ${red.length} not as promised`,
    );
  }
  return red.length > 0 ? 1 : 0;
};

/** Red are exactly the rows that the control holds: others would say that it holds more, fewer that it holds less. */
const judgeBreak = (control: string, results: readonly Result[], red: readonly Result[], quiet: boolean): number => {
  const tried = attacks.filter(({ id }) => results.some((one) => one.id === id));
  const held = tried.filter(({ redWithout }) => redWithout?.includes(control));
  // Without the filter a kernel may still refuse what it was built or set to refuse.
  const spared = control === "seccomp" ? refusedByKernel(held) : new Set<string>();
  const wanted = new Set(held.map(({ id }) => id).filter((id) => !spared.has(id)));
  const got = new Set(red.map(({ id }) => id));
  const wrong = tried.map(({ id }) => id).filter((id) => wanted.has(id) !== got.has(id));
  if (!quiet) {
    console.log(`\nwithout ${control}: ${got.size} rows red`);
    if (spared.size > 0) console.log(`this kernel refuses anyway: ${[...spared].join(", ")}`);
    if (wrong.length > 0) console.log(`not as the table says: ${wrong.join(", ")}`);
  }
  return wrong.length > 0 || got.size === 0 ? 1 : 0;
};

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof Error ? (process.env.DEBUG ? error.stack : error.message) : error);
  return 2;
});
