import type { Kysely } from "kysely";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { fromSandbox } from "./sandbox-rows.ts";
import type { Tables } from "./tables.ts";

/** The row, and one for each label by which lists find it. */
export const insertSandbox = async (queries: Kysely<Tables>, record: SandboxRecord): Promise<void> => {
  await queries.insertInto("sandboxes").values(fromSandbox(record)).execute();
  const labels = Object.entries(record.labels).map(([name, value]) => ({ sandbox_id: record.id, name, value }));
  if (labels.length > 0) await queries.insertInto("sandbox_labels").values(labels).execute();
};
