// Plain JavaScript that Node 20 can start.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodePath, root } from "./paths.js";
import { run } from "./run.js";
import { orSkip, SetupStop, say } from "./say.js";

/** Installs the dependencies, which bring Node 24 along. */
export const ensureNodeModules = () => {
  installLocked(root, "installing the locked dependencies, which bring Node 24 along (npm ci)");
  if (nodePath() === undefined) {
    throw new SetupStop([
      `found: no Node 24 for ${process.platform} ${process.arch} among the dependencies, and this is Node ${process.versions.node}`,
      "would help: start this with Node 24 or newer",
    ]);
  }
};

/**
 * Installs the runtimes that the TypeScript client is tried in. Each is one program: nothing of them runs at install.
 * They are optional dependencies, one per processor, and npm passes over one that it can't fetch.
 */
export const ensureClientRuntimes = () => {
  const folder = join(root, "test", "clients", "runtimes");
  const { optionalDependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const own = process.arch === "arm64" ? /-(arm64|aarch64)\b/ : /-x64\b/;
  const absent = () =>
    Object.keys(optionalDependencies)
      .filter((name) => own.test(name))
      .filter((name) => !existsSync(join(folder, "node_modules", name, "package.json")));
  if (absent().length > 0) rmSync(join(folder, "node_modules"), { recursive: true, force: true });
  orSkip("the client is not tried there", () => {
    installLocked(folder, "installing Node 22, Bun and Deno, which the TypeScript client is tried in (npm ci)");
    if (absent().length > 0) throw new SetupStop([`npm could not fetch ${absent().join(", ")}`]);
  });
};

/**
 * Installs a folder's dependencies when its lockfile is not the one that they were installed from. No program of theirs runs:
 * none needs it, and npm would compile SQLite, with a compiler and Python, beside the binary that comes along.
 * @param {string} folder
 * @param {string} reason
 */
const installLocked = (folder, reason) => {
  const stamp = join(folder, "node_modules", ".stacyvm-lock");
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json"]) hash.update(readFileSync(join(folder, file)));
  const wanted = hash.digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  say(reason);
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"], { cwd: folder });
  writeFileSync(stamp, wanted);
};
