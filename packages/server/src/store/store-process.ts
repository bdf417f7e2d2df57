import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import type { DatabaseLocation } from "./open-database.ts";
import type { Store } from "./store.ts";

/** What a second process is to do with a store of its own. */
export interface ProcessTask {
  readonly database: DatabaseLocation;
  readonly nowMs: number;
  readonly admit?: {
    readonly records: readonly SandboxRecord[];
    readonly caps: Parameters<Store["admitAndInsert"]>[1];
  };
}

export interface ProcessOutcome {
  /** Of the schema, as found after the start. */
  readonly versions: readonly number[];
  readonly admitted: number;
}

/** For tests: opens the store in a process of its own, does the task, ends. */
export const inProcess = async (task: ProcessTask): Promise<ProcessOutcome> => {
  const program = fileURLToPath(new URL("./store-process-main.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(task)], { timeout: 30_000 });
  return JSON.parse(stdout);
};
