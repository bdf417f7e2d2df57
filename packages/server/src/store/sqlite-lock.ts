import { setTimeout as sleep } from "node:timers/promises";
import Sqlite from "better-sqlite3";

const tries = 600;
const pauseMs = 50;

/**
 * Runs the work while no other process runs it under the same path. The lock is the kernel's, on a file beside the
 * database, so that it ends with the process that holds it. Gives up after half a minute with the driver's busy error.
 */
export const withFileLock = async <T>(path: string, work: () => T): Promise<T> => {
  // Without a timeout of its own: waiting inside the driver would block the thread.
  const lock = new Sqlite(path, { timeout: 0 });
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        lock.exec("begin exclusive");
        break;
      } catch (error) {
        const busy = error instanceof Sqlite.SqliteError && error.code.startsWith("SQLITE_BUSY");
        if (!busy || attempt >= tries) throw error;
        await sleep(pauseMs);
      }
    }
    return work();
  } finally {
    lock.close();
  }
};
