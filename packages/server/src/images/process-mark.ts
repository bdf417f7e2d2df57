import { readFile } from "node:fs/promises";

/** `<pid>.<start time>` of this process: the start of a name that says whose it is. */
export const processMark = async (): Promise<string> => `${process.pid}.${await startTime(process.pid)}`;

/** Whether the process whose mark a name begins with still runs; a strange name is nobody's. */
export async function isAlive(name: string): Promise<boolean> {
  const [pid, started] = name.split(".");
  return started !== undefined && (await startTime(Number(pid)).catch(() => undefined)) === started;
}

/** Field 22 of /proc/<pid>/stat: with the pid it names one process of this boot. */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
