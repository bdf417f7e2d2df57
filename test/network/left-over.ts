import { readdir, readFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { directoryPrefix } from "./internet.ts";
import { uplink, worldLink } from "./plan.ts";

const commandLine = async (pid: string): Promise<string> =>
  (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ").trim();

/**
 * What is left of one test Internet, by its directory, or of any: processes, files, and links in this network namespace.
 * Its namespaces have no names and end with their last process.
 */
export const networkLeftOver = async (directory?: string): Promise<readonly string[]> => {
  const wanted = directory ?? join(tmpdir(), directoryPrefix);
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const line = await commandLine(pid);
    if (line.includes(wanted)) found.push(`processes: ${pid} ${line}`);
  }
  for (const name of await readdir(tmpdir())) {
    const path = join(tmpdir(), name);
    if (path.startsWith(wanted)) found.push(`files: ${path}`);
  }
  for (const link of Object.keys(networkInterfaces()))
    if ([uplink, worldLink].includes(link)) found.push(`links: ${link}`);
  return found;
};

/** Looks again until nothing is left over or the time is up. */
export const settledNetworkLeftOver = async (directory: string, withinMs: number): Promise<readonly string[]> => {
  const until = performance.now() + withinMs;
  for (;;) {
    const left = await networkLeftOver(directory);
    if (left.length === 0 || performance.now() > until) return left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
