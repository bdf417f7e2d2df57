// Plain JavaScript that Node 20 can start: prepares the machine, then runs every stage under the bundled Node.
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { goPath } from "./setup/go.js";
import { setUp } from "./setup.js";
import { runUnderNode24 } from "./under-node-24.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The stages call `go` by its name: where it was obtained, it isn't on the PATH yet. */
const putGoOnPath = () => {
  const folder = dirname(goPath(root));
  if (folder !== ".") process.env.PATH = `${folder}${delimiter}${process.env.PATH}`;
};

const prepare = () => {
  try {
    setUp("test");
    putGoOnPath();
    return true;
  } catch (error) {
    console.error(`setup: ${error.message}`);
    return false;
  }
};

if (prepare()) process.exitCode = await runUnderNode24(root, "scripts/test/main.ts", process.argv.slice(2));
else {
  console.log("0 passed, 1 failed, 0 skipped");
  process.exitCode = 1;
}
