// Plain JavaScript that Node 20 can start.
import { resolve } from "node:path";
import { runUnderNode24 } from "./under-node-24.js";

const root = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "..");
process.exitCode = await runUnderNode24(root, "scripts/drift/main.ts", process.argv.slice(2));
