import { Secret } from "../lib/secret.ts";
import { createStore } from "./create-store.ts";
import { type DatabaseLocation, openDatabase } from "./open-database.ts";
import type { PlainTask, ProcessOutcome } from "./store-process.testing.ts";

const task: PlainTask = JSON.parse(process.argv[2] ?? "");
const database: DatabaseLocation =
  task.database.dsn === undefined
    ? { driver: "sqlite", path: task.database.path ?? "" }
    : { driver: "postgres", dsn: new Secret(task.database.dsn) };
await using store = await createStore({ database, nowMs: task.nowMs });
const outcomes = await Promise.all(
  (task.admit?.records ?? []).map((record) =>
    store.admitAndInsert(record, task.admit?.caps ?? { maxSandboxes: 0, maxOwnerSandboxes: 0 }),
  ),
);
const { queries } = openDatabase(database);
const rows = await queries.selectFrom("schema_migrations").select("version").orderBy("version").execute();
await queries.destroy();
const outcome: ProcessOutcome = {
  versions: rows.map((row) => row.version),
  admitted: outcomes.filter((refusal) => refusal === undefined).length,
};
process.stdout.write(JSON.stringify(outcome));
