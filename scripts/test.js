// Plain JavaScript that Node 20 can start: prepares the machine, then runs every stage under the bundled Node.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { runUnderNode24 } from "./under-node-24.js";

const root = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "..");
const setup = join(root, "scripts", "setup.js");
const [command, args] = existsSync(setup)
  ? [process.execPath, [setup, "test"]]
  : ["npm", ["ci", "--no-audit", "--no-fund"]];

const needed = existsSync(setup) || !existsSync(join(root, "node_modules"));
const prepared = needed ? spawnSync(command, args, { cwd: root, stdio: "inherit" }).status === 0 : true;
if (prepared) process.exitCode = await runUnderNode24(root, "scripts/test/main.ts", process.argv.slice(2));
else {
  console.error(`setup failed: ${command} ${args.join(" ")}`);
  console.log("0 passed, 1 failed, 0 skipped");
  process.exitCode = 1;
}
