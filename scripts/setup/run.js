// Plain JavaScript that Node 20 can start.
import { spawnSync } from "node:child_process";
import { SetupStop } from "./say.js";

/** @typedef {{ cwd?: string, env?: NodeJS.ProcessEnv }} RunOptions */

/**
 * Runs a program to its end with the terminal's streams; stops the setup when it fails.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 */
export const run = (program, args, options = {}) => runWith(program, args, { ...options, stdio: ["ignore", 2, 2] });

/**
 * Runs a program to its end; what it prints is shown only when it fails, and the setup stops then.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 */
export const runQuietly = (program, args, options = {}) =>
  runWith(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"], maxBuffer: 64 * 1024 * 1024 });

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {import("node:child_process").SpawnSyncOptions} options
 */
const runWith = (program, args, options) => {
  const { status, error, signal, output } = spawnSync(program, args, { ...options, encoding: "utf8" });
  if (status === 0) return;
  const how = error?.message ?? (signal === null ? `exit status ${status}` : signal);
  const printed = (output ?? []).map((text) => text?.trim() ?? "").filter((text) => text !== "");
  throw new SetupStop([...printed, `failed (${how}): ${program} ${args.join(" ")}`]);
};

/**
 * What a program prints, or undefined where it is missing or fails.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {string | undefined}
 */
export const outputOf = (program, args, options = {}) => {
  const { status, stdout } = spawnSync(program, args, {
    ...options,
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
    maxBuffer: 16 * 1024 * 1024,
  });
  return status === 0 ? stdout.trim() : undefined;
};
