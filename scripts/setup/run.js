import { spawnSync } from "node:child_process";

/** What can't be done here, with what would help. The caller prints it and exits 3. */
export class CannotSetUp extends Error {}

/** Runs a program with its output shown; throws when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { stdio: "inherit", ...options });
  if (result.error) throw new Error(`${command} could not be started: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")} ended with status ${result.status}`);
}

/** Standard output of a program; undefined when it isn't there or fails. */
export function read(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", ...options });
  return result.error || result.status !== 0 ? undefined : result.stdout;
}

export function say(text) {
  console.log(`setup: ${text}`);
}
