// Plain JavaScript that Node 20 can start.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";

const wantedMajor = 24;

/**
 * The Node binary to run TypeScript with: the one that came with the dependencies, else this one when new enough.
 * @param {string} root folder that holds node_modules
 * @returns {string | undefined} undefined where neither will do
 */
const nodePath = (root) => {
  const bundled = join(root, "node_modules", `node-linux-${process.arch}`, "bin", "node");
  if (existsSync(bundled)) return bundled;
  return Number(process.versions.node.split(".")[0]) >= wantedMajor ? process.execPath : undefined;
};

/**
 * Runs a file under that Node with the caller's terminal, passes signals on, and resolves to its exit status.
 * @param {string} root
 * @param {string} file relative to the root
 * @param {readonly string[]} args
 * @returns {Promise<number>} 128 + n after death by signal n
 */
export const runUnderNode24 = async (root, file, args) => {
  const node = nodePath(root);
  if (node === undefined) {
    console.error(
      `Node ${wantedMajor} is needed and this is ${process.versions.node}: run \`npm ci\`, which brings it along`,
    );
    return 1;
  }
  const PATH = [dirname(node), join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter);
  const child = spawn(node, [join(root, file), ...args], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH },
  });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
    process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(`${node}: ${error.message}`);
      resolve(1);
    });
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
};
