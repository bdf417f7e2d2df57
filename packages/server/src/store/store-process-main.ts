import { createStore } from "./create-store.ts";
import { openDatabase } from "./open-database.ts";
import type { ProcessOutcome, ProcessTask } from "./store-process.ts";

const task: ProcessTask = JSON.parse(process.argv[2] ?? "");
await using store = await createStore(task);
const outcomes = await Promise.all(
  (task.admit?.records ?? []).map((record) =>
    store.admitAndInsert(record, task.admit?.caps ?? { maxSandboxes: 0, maxOwnerSandboxes: 0 }),
  ),
);
const { queries } = openDatabase(task.database);
const rows = await queries.selectFrom("schema_migrations").select("version").orderBy("version").execute();
await queries.destroy();
const outcome: ProcessOutcome = {
  versions: rows.map((row) => row.version),
  admitted: outcomes.filter((refusal) => refusal === undefined).length,
};
process.stdout.write(JSON.stringify(outcome));
