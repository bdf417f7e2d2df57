// Plain JavaScript that Node 20 can start: `npm run up [-- --once] [-- --port N] [-- --data DIR]`. Prepares the machine
// and goes on in scripts/up/main.ts under the bundled Node.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { missingForSandboxes } from "./setup/machine.js";
import { root } from "./setup/paths.js";
import { exitUnsupported } from "./setup/say.js";
import { runUnderNode24 } from "./under-node-24.js";

const missing = missingForSandboxes();
if (missing.length > 0) {
  console.error("This machine can't run sandboxes as it is.");
  for (const { found, help } of missing) console.error(`  found: ${found}\n  would help: ${help}`);
  process.exit(exitUnsupported);
}
for (const step of ["setup.js", "build.js"]) {
  const { status } = spawnSync(process.execPath, [join(root, "scripts", step)], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
process.exitCode = await runUnderNode24(root, "scripts/up/main.ts", process.argv.slice(2));
