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

/** As it crosses to the process: there the connection string is plain text. */
export type PlainTask = Omit<ProcessTask, "database"> & {
  readonly database: { readonly path?: string; readonly dsn?: string };
};

const plain = ({ database, ...task }: ProcessTask): PlainTask => ({
  ...task,
  database: database.driver === "sqlite" ? { path: database.path } : { dsn: database.dsn.reveal() },
});

/** For tests: opens the store in a process of its own, does the task, ends. */
export const inProcess = async (task: ProcessTask): Promise<ProcessOutcome> => {
  const program = fileURLToPath(new URL("./store-process-main.testing.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(plain(task))], {
    timeout: 30_000,
  });
  return JSON.parse(stdout);
};
