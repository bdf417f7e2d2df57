import { setTimeout as sleep } from "node:timers/promises";
import { StacyError } from "@stacyvm/contract";
import { tryFileLock } from "../lib/file-lock.ts";

const tries = 600;
const pauseMs = 50;

/**
 * Runs the work while no other process runs it under the same path. Gives up after half a minute with store_unavailable.
 */
export const withFileLock = async <T>(path: string, work: () => T): Promise<T> => {
  for (let attempt = 1; attempt <= tries; attempt++) {
    using lock = tryFileLock(path);
    if (lock !== undefined) return work();
    await sleep(pauseMs);
  }
  throw new StacyError("store_unavailable", `another process has been opening the database for too long: ${path}`);
};
