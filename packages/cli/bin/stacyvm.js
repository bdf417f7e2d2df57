#!/usr/bin/env node
// Plain JavaScript that any Node from 20 can start: finds the Node that came with the dependencies and goes on there.
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const wantedMajor = 24;
const own = realpathSync(fileURLToPath(import.meta.url));
const main = join(dirname(own), "..", "src", "main.ts");

/** The bundled Node above this file, else the running one when it is new enough. */
function findNode() {
  for (let dir = dirname(own); ; dir = dirname(dir)) {
    const bundled = join(dir, "node_modules", `node-linux-${process.arch}`, "bin", "node");
    if (existsSync(bundled)) return bundled;
    if (dir === dirname(dir)) break;
  }
  return Number(process.versions.node.split(".")[0]) >= wantedMajor ? process.execPath : undefined;
}

const node = findNode();
if (node === undefined) {
  console.error(`stacyvm needs Node ${wantedMajor} or newer and this is ${process.version}. Run: npm ci`);
  process.exit(1);
}
if (node === process.execPath) {
  await import(main);
} else {
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends its signals to the child as well; these are for those who signal the launcher alone.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`stacyvm: ${node} could not be started: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
