import { execFileSync, spawn } from "node:child_process";
import { constants } from "node:os";
import { metadataAddress } from "./host-targets.ts";

const marker = "STACYVM_ATTACKS_ISOLATED";

/** Namespaces of its own, so that a broken control reaches nobody: there is no way out of this network. */
const own = ["--net", "--ipc", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"];

export const isIsolated = (): boolean => process.env[marker] === "1";

/** Runs this program again in namespaces of its own and resolves to its exit status. */
export const runIsolated = async (): Promise<number> => {
  const argv = [...own, "--", process.execPath, "--expose-gc", ...process.argv.slice(1)];
  // A session of its own, and its input as a leash: whatever ends this program, what was made there is removed first.
  const stdio = ["pipe", "inherit", "inherit"] as ["pipe", "inherit", "inherit"];
  const child = spawn("unshare", argv, { stdio, detached: true, env: { ...process.env, [marker]: "1" } });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => child.stdin.end());
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
};

/** Aborts when the program that isolated this one has ended, or was told to. */
export const stopSignal = (): AbortSignal => {
  const stop = new AbortController();
  process.stdin.once("end", () => stop.abort(new Error("stopped"))).resume();
  process.stdin.unref();
  return stop.signal;
};

/** A host's network with nobody in it: loopback, an address beside it, and the metadata service's, all of this machine. */
export const furnishNetwork = (): void => {
  const ip = (...args: string[]) =>
    execFileSync("/bin/busybox", ["ip", ...args], { stdio: ["ignore", "ignore", "pipe"] });
  ip("link", "set", "lo", "up");
  for (const address of [metadataAddress, "198.51.100.7"]) ip("addr", "add", `${address}/32`, "dev", "lo");
};
