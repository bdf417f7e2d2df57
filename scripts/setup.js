// Plain JavaScript that Node 20 can start: makes a machine ready to run (default) or to test. Idempotent.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installNodeModules } from "./setup/node-modules.js";
import { installPackages } from "./setup/packages.js";
import { CannotSetUp } from "./setup/run.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Profile `run` or `test`. */
export function setUp(profile) {
  installPackages(profile);
  installNodeModules(root);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    setUp(process.argv[2] === "test" ? "test" : "run");
  } catch (error) {
    console.error(`setup: ${error.message}`);
    process.exitCode = error instanceof CannotSetUp ? 3 : 1;
  }
}
