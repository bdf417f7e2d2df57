import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { driftBetween } from "./compare.ts";
import { generatorsOf } from "./generators.ts";
import { copyWorkTree, generatedFiles } from "./work-copy.ts";

/** `npm run generate` brings the generated files up to date; with `--check` it only says which are not, and exits 1. */
const root = resolve(import.meta.dirname, "..", "..");
const checking = process.argv.includes("--check");

using copy = copyWorkTree(root);
for (const { argv, folder } of generatorsOf(copy.folder)) {
  const [command = "", ...args] = argv;
  const { status, error } = spawnSync(command, args, { cwd: join(copy.folder, folder), stdio: "inherit" });
  if (status === 0) continue;
  console.error(`${argv.join(" ")} failed${error === undefined ? "" : `: ${error.message}`}`);
  process.exitCode = 1;
}

const standing = generatedFiles(root);
const fresh = generatedFiles(copy.folder);
const drifts = process.exitCode === 1 ? [] : driftBetween(standing, fresh);
for (const { path, what, line } of drifts) {
  console.log(`${what.padEnd(9)} ${path}${line === undefined ? "" : `:${line}`}`);
  if (checking) continue;
  const text = fresh.get(path);
  if (text === undefined) rmSync(join(root, path));
  else {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
if (drifts.length > 0 && checking) {
  console.error("generated files are not what their sources say: run `npm run generate` and commit the result");
  process.exitCode = 1;
}
if (drifts.length === 0 && process.exitCode === undefined) console.log(`${fresh.size} generated files are up to date`);
