import { resolve } from "node:path";
import { checkFloors } from "./floors/check.ts";

/** `node scripts/floors.ts [root]`: prints every breach as file:line, what and what to do; exit 1 when there is one. */
const root = resolve(process.argv[2] ?? resolve(import.meta.dirname, ".."));
const { breaches, fileCount } = checkFloors(root);
for (const { file, line, what, remedy } of breaches) console.error(`${file}:${line}  ${what}\n    ${remedy}`);
if (fileCount === 0) console.error(`floors: no source file under ${root}: nothing was checked`);
else if (breaches.length > 0) console.error(`floors: ${breaches.length} breaches in ${fileCount} files`);
else console.log(`floors: ${fileCount} files stand where they belong`);
process.exitCode = breaches.length > 0 || fileCount === 0 ? 1 : 0;
