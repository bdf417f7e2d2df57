// Plain JavaScript that Node 20 can start.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodePath, root } from "./paths.js";
import { run } from "./run.js";
import { SetupStop, say } from "./say.js";

/** Installs the dependencies when the lockfile is not the one they were installed from. */
export const ensureNodeModules = () => {
  const stamp = join(root, "node_modules", ".stacyvm-lock");
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json"]) hash.update(readFileSync(join(root, file)));
  const wanted = hash.digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  say("installing the locked dependencies, which bring Node 24 along (npm ci)");
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: root });
  if (nodePath() === undefined) {
    throw new SetupStop([
      `found: no Node 24 for ${process.platform} ${process.arch} among the dependencies, and this is Node ${process.versions.node}`,
      "would help: start this with Node 24 or newer",
    ]);
  }
  writeFileSync(stamp, wanted);
};
