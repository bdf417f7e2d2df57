import { sql } from "kysely";
import { admitAndInsert } from "./admission.ts";
import { apiKeyStore } from "./api-keys.ts";
import { auditStore } from "./audit.ts";
import { failureCountStore, prepareFailureCounts } from "./failure-counts.ts";
import { guarded } from "./failures.ts";
import { fileLinkKeyStore } from "./file-link-keys.ts";
import { leaseStore } from "./leases.ts";
import { migrate } from "./migrate.ts";
import { migrations } from "./migrations/all.ts";
import { type DatabaseLocation, openDatabase } from "./open-database.ts";
import { quotaStore } from "./quotas.ts";
import { prepareRateBuckets, rateBucketStore } from "./rate-buckets.ts";
import { registryCredentialStore } from "./registry-credentials.ts";
import { sandboxStore } from "./sandboxes.ts";
import { secretStore } from "./secrets.ts";
import { sessionStore } from "./sessions.ts";
import { spawnKeyStore } from "./spawn-keys.ts";
import type { Store } from "./store.ts";
import { templateStore } from "./templates.ts";
import { tenantStore } from "./tenants.ts";
import { workerStore } from "./workers.ts";

/**
 * Opens the database and brings its schema up to date; `nowMs` is written beside the migrations it applies. Throws
 * store_unavailable when it does not answer, internal when a newer program has moved it on. Disposing closes it.
 */
export const createStore = async (options: {
  readonly database: DatabaseLocation;
  readonly nowMs: number;
}): Promise<Store> => {
  const database = openDatabase(options.database);
  const whole = guarded(
    {
      admitAndInsert: admitAndInsert(database),
      ping: async (): Promise<void> => {
        await sql`select 1`.execute(database.queries);
      },
      readId: async (): Promise<string> =>
        (await database.queries.selectFrom("database_id").select("id").executeTakeFirstOrThrow()).id,
      migrate: async (): Promise<void> => {
        await migrate(database, migrations, options.nowMs);
        if (database.dialect !== "postgres") return;
        await prepareRateBuckets(database);
        await prepareFailureCounts(database);
      },
      close: () => database.queries.destroy(),
    },
    database,
    "sandbox",
  );
  let id: string;
  try {
    await whole.migrate();
    id = await whole.readId();
  } catch (error) {
    // What went wrong first is what the operator has to read.
    await whole.close().catch(() => {});
    throw error;
  }
  return {
    dialect: database.dialect,
    id,
    sandboxes: guarded(sandboxStore(database), database, "sandbox"),
    leases: guarded(leaseStore(database), database, "lease"),
    quotas: guarded(quotaStore(database), database, "quota"),
    registryCredentials: guarded(registryCredentialStore(database), database, "registry credential"),
    secrets: guarded(secretStore(database), database, "secret"),
    templates: guarded(templateStore(database), database, "template"),
    workers: guarded(workerStore(database), database, "worker"),
    fileLinkKeys: guarded(fileLinkKeyStore(database), database, "file link key"),
    spawnKeys: guarded(spawnKeyStore(database), database, "idempotency key"),
    apiKeys: guarded(apiKeyStore(database), database, "API key"),
    sessions: guarded(sessionStore(database), database, "session"),
    tenants: guarded(tenantStore(database), database, "tenant"),
    audit: guarded(auditStore(database), database, "audit record"),
    rateBuckets: database.dialect === "postgres" ? guarded(rateBucketStore(database), database, "rate") : undefined,
    failureCounts:
      database.dialect === "postgres" ? guarded(failureCountStore(database), database, "failure count") : undefined,
    admitAndInsert: whole.admitAndInsert,
    ping: whole.ping,
    [Symbol.asyncDispose]: whole.close,
  };
};
