// Plain JavaScript that Node 20 can start: prepares the machine, then runs every stage under the bundled Node.
import { spawnSync } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { goPath } from "./setup/paths.js";
import { runUnderNode24 } from "./under-node-24.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const purpose = process.argv.includes("--long") ? "long" : "test";
const prepared = spawnSync(process.execPath, [join(root, "scripts", "setup.js"), purpose], {
  cwd: root,
  stdio: "inherit",
});

if (prepared.status === 0) {
  // The stages call `go` by its name: where it was obtained, it isn't on the PATH yet.
  const go = goPath();
  if (go !== undefined && go !== "go") process.env.PATH = `${dirname(go)}${delimiter}${process.env.PATH}`;
  process.exitCode = await runUnderNode24(root, "scripts/test/main.ts", process.argv.slice(2));
} else {
  console.log("0 passed, 1 failed, 0 skipped");
  process.exitCode = prepared.status ?? 1;
}
