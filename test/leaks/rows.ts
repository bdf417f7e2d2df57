import { existsSync } from "node:fs";
import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Reads beside whoever writes; a database that isn't there has no rows. */
const select = (databasePath: string, statement: string): readonly Record<string, unknown>[] => {
  if (!existsSync(databasePath)) return [];
  using database = new DatabaseSync(databasePath, { readOnly: true, timeout: 5_000 });
  const known = database.prepare("SELECT name FROM sqlite_master WHERE name = 'sandboxes'").all();
  return known.length === 0 ? [] : database.prepare(statement).all();
};

/** Sandboxes that count against caps. */
export const livingRows = (databasePath: string): Set<string> =>
  new Set(
    select(databasePath, "SELECT id, state FROM sandboxes WHERE state <> 'destroyed'").map(
      ({ id, state }) => `${id} ${state}`,
    ),
  );

export const heldLeases = (databasePath: string): Set<string> =>
  new Set(
    select(databasePath, "SELECT resource_id FROM leases WHERE holder_id <> ''").map(({ resource_id }) =>
      String(resource_id),
    ),
  );

/** Every sandbox that the database or the host program's directory knows of, those that are gone included. */
export const sandboxIds = async (dataDir: string, databasePath: string): Promise<ReadonlySet<string>> => {
  const ids = new Set(select(databasePath, "SELECT id FROM sandboxes").map(({ id }) => String(id)));
  const names = async (folder: string) => await readdir(join(dataDir, "oci", folder)).catch(() => []);
  for (const name of [...(await names("run")), ...(await names("runtime"))]) ids.add(name);
  for (const name of await names("slots")) ids.add(await readlink(join(dataDir, "oci/slots", name)).catch(() => name));
  return ids;
};
