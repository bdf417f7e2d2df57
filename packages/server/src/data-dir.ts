import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StacyError } from "@stacyvm/contract";
import { tryFileLock } from "./lib/file-lock.ts";
import { randomIds } from "./lib/id.ts";

/** The directory of everything that one server keeps on its host. Disposing lets another server have it. */
export interface DataDir extends Disposable {
  /** Who this server is to leases and to what it runs: after a crash it takes up what it held. */
  readonly serverId: string;
  /**
   * Binds the directory to a database. Throws where it is bound to another and holds sandboxes: here they would be unknown,
   * and removed.
   */
  bindTo(databaseId: string, holdsSandboxes: () => Promise<boolean>): Promise<void>;
}

/** Takes the directory, made where it is missing, for one server at a time. Throws while another one has it. */
export async function openDataDir(path: string): Promise<DataDir> {
  await mkdir(path, { recursive: true, mode: 0o711 });
  // The users that sandboxes are mapped to pass through it.
  await chmod(path, 0o711);
  const lock = tryFileLock(join(path, "server.lock"));
  if (lock === undefined) {
    throw new StacyError("internal", `another server uses the data directory ${path}`, {
      remediation: "Stop that server first, or give this one a data_dir of its own.",
    });
  }
  try {
    return {
      serverId: await idIn(join(path, "server-id"), randomIds.server()),
      async bindTo(databaseId, holdsSandboxes) {
        const file = join(path, "database-id");
        if ((await idIn(file, databaseId)) === databaseId) return;
        if (!(await holdsSandboxes())) return await writeId(file, databaseId);
        throw new StacyError("internal", `the data directory ${path} belongs to another database than this one`, {
          remediation:
            "Start with the database that knows its sandboxes (database.path), or give this one a data_dir of its own. " +
            `To let go of those sandboxes, remove ${file}.`,
        });
      },
      [Symbol.dispose]: () => lock[Symbol.dispose](),
    };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/** What the file holds; the fresh id, written there, where that is none. */
async function idIn(file: string, fresh: string): Promise<string> {
  try {
    const id = (await readFile(file, "utf8")).trim();
    if (/^[0-9a-f-]{36}$/.test(id)) return id;
  } catch {
    // First start here.
  }
  await writeId(file, fresh);
  return fresh;
}

const writeId = (file: string, id: string): Promise<void> => writeFile(file, `${id}\n`, { mode: 0o600 });
