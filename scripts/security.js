// Plain JavaScript that Node 20 can start: `npm run security [-- --target ID] [--only ID] [--break CONTROL] [--json]`.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runUnderNode24 } from "./under-node-24.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.exitCode = await runUnderNode24(root, "test/security/main.ts", process.argv.slice(2));
