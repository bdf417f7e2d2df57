import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const cgroupRoots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

const kilobytes = (text: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN);

/** Resident bytes of a process now, and at most since the peak was last forgotten. */
export const residentBytes = (pid: number): { readonly now: number; readonly peak: number } => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return { now: kilobytes(status, "VmRSS") * 1024, peak: kilobytes(status, "VmHWM") * 1024 };
};

/** Lets the peak of a process begin anew. */
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, "5");

/** Proportional share of memory of a process, bytes: shared pages are divided among those who share them. */
export const pssBytes = (pid: number): number =>
  kilobytes(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"), "Pss") * 1024;

const processesUnder = (directory: string): number[] => {
  const own = readFileSync(join(directory, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  const children = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...own, ...children.flatMap(({ name }) => processesUnder(join(directory, name)))];
};

/** Every process of a sandbox, by its control group. Throws when there is none. */
export const sandboxProcesses = (sandboxId: string): readonly number[] => {
  for (const root of cgroupRoots) {
    try {
      const found = processesUnder(join(root, `stacyvm-${sandboxId}`));
      if (found.length > 0) return found;
    } catch {
      // The other hierarchy has it.
    }
  }
  throw new Error(`no process of ${sandboxId} was found`);
};

/** Direct and indirect children of a process. */
export const descendants = (pid: number): readonly number[] => {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
};
