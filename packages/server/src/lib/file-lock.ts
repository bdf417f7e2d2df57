import Sqlite from "better-sqlite3";

/**
 * Locks the file against every other process, and every other holder in this one; undefined where it is held already. The
 * file is made where it is missing. SQLite's exclusive transaction is used for its kernel lock alone, which ends with the
 * process that holds it, however that ends.
 */
export const tryFileLock = (path: string): Disposable | undefined => {
  // Without a timeout of its own: waiting inside the driver would block the thread.
  const lock = new Sqlite(path, { timeout: 0 });
  try {
    lock.exec("begin exclusive");
  } catch (error) {
    lock.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
  return { [Symbol.dispose]: () => void lock.close() };
};

const isBusy = (error: unknown): boolean => error instanceof Sqlite.SqliteError && error.code.startsWith("SQLITE_BUSY");
