import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import Sqlite from "better-sqlite3";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
  sql,
} from "kysely";
import type { Database, FailureKind } from "./database.ts";
import { withFileLock } from "./sqlite-lock.ts";
import type { Tables } from "./tables.ts";

/** How long one statement waits, blocking, for another process's write. */
const busyTimeoutMs = 5_000;
/** Prepared statements kept; the oldest is dropped. */
const maxPreparedStatements = 256;
/** The write-ahead log is cut to this after a checkpoint. */
const maxJournalBytes = 64 * 1024 * 1024;

/** Every transaction here writes: taking the write lock at its start leaves no upgrade that could fail half way. */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }
}

class ImmediateDialect extends SqliteDialect {
  readonly #open: () => Promise<PreparedDatabase>;

  constructor(open: () => Promise<PreparedDatabase>) {
    super({ database: open });
    this.#open = open;
  }

  override createDriver(): Driver {
    return new ImmediateDriver({ database: this.#open });
  }
}

interface PreparedDatabase {
  prepare(text: string): SqliteStatement;
  close(): void;
}

/** Hands out each statement of data prepared once. Definitions change the schema and are never kept. */
const reusingStatements = (connection: Sqlite.Database): PreparedDatabase => {
  const kept = new Map<string, SqliteStatement>();
  return {
    prepare: (text) => {
      const found = kept.get(text);
      if (found !== undefined) return found;
      const statement = connection.prepare(text) as SqliteStatement;
      if (!/^(select|insert|update|delete|begin|commit|rollback)\b/.test(text)) return statement;
      const oldest = kept.keys().next().value;
      if (kept.size >= maxPreparedStatements && oldest !== undefined) kept.delete(oldest);
      kept.set(text, statement);
      return statement;
    },
    close: () => {
      kept.clear();
      connection.close();
    },
  };
};

const connect = (path: string): Sqlite.Database => {
  const connection = new Sqlite(path, { timeout: busyTimeoutMs });
  try {
    connection.pragma("journal_mode = wal");
    connection.pragma("synchronous = normal");
    connection.pragma("foreign_keys = on");
    connection.pragma(`journal_size_limit = ${maxJournalBytes}`);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
};

const open = async (path: string): Promise<Sqlite.Database> => {
  if (path === ":memory:") return connect(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const lockPath = `${path}.lock`;
  // Made here so that neither they nor the log files beside them, which take the mode, are readable to others.
  for (const file of [path, lockPath]) closeSync(openSync(file, "a", 0o600));
  // Two first openings that both switch to the write-ahead log collide without waiting for each other.
  return await withFileLock(lockPath, () => connect(path));
};

const unavailable =
  /^SQLITE_(BUSY|LOCKED|IOERR|FULL|CANTOPEN|READONLY|PROTOCOL|NOMEM|PERM|AUTH|NOLFS|INTERRUPT|CORRUPT|NOTADB)/;

const classify = (error: unknown): FailureKind => {
  if (!(error instanceof Error)) return undefined;
  const code = "code" in error ? String(error.code) : "";
  if (code === "SQLITE_CONSTRAINT_PRIMARYKEY" || code === "SQLITE_CONSTRAINT_UNIQUE") return "unique";
  if (unavailable.test(code) || /^E[A-Z]+$/.test(code)) return "unavailable";
  return /database connection is not open|driver has already been destroyed/.test(error.message)
    ? "unavailable"
    : undefined;
};

/** Opens on the first query. The path may be `:memory:`; its directory is made where missing. */
export const openSqlite = (options: { readonly path: string }): Database => ({
  dialect: "sqlite",
  queries: new Kysely<Tables>({
    dialect: new ImmediateDialect(async () => reusingStatements(await open(options.path))),
  }),
  types: {
    text: sql`text`,
    integer: sql`integer`,
    autoId: sql`integer primary key autoincrement`,
    tableEnd: sql`strict`,
  },
  // The transaction began with the write lock of the whole file.
  lockInTransaction: async () => {},
  classify,
});
