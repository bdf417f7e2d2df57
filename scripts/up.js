// `npm run up`: plain JavaScript that Node 20 can start. Sets the machine up, builds, and goes on under Node 24.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.js";
import { CannotSetUp } from "./setup/run.js";
import { setUp } from "./setup.js";
import { runUnderNode24 } from "./under-node-24.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

try {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    throw new CannotSetUp(
      "Sandboxes by runc need Linux and root. Found: " +
        `${process.platform}, ${process.getuid?.() === 0 ? "root" : "not root"}. Try: sudo npm run up`,
    );
  }
  setUp("run");
  build();
  process.exitCode = await runUnderNode24(root, "scripts/up/main.ts", process.argv.slice(2));
} catch (error) {
  console.error(`up: ${error.message}`);
  process.exitCode = error instanceof CannotSetUp ? 3 : 1;
}
