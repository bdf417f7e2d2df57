import { firstTables } from "./0001-first-tables.ts";
import { fileLinkKeys } from "./0002-file-link-keys.ts";
import { databaseId } from "./0003-database-id.ts";
import { sandboxSpecs } from "./0004-sandbox-specs.ts";
import { apiKeys } from "./0005-api-keys.ts";
import { tenants } from "./0006-tenants.ts";
import { sessions } from "./0007-sessions.ts";
import { sandboxNetwork } from "./0008-sandbox-network.ts";
import { registryCredentials } from "./0009-registry-credentials.ts";
import { secrets } from "./0010-secrets.ts";
import { sandboxSecrets } from "./0011-sandbox-secrets.ts";
import type { Migration } from "./migration.ts";

/** In order. A released one is never changed; the next change is the next file. */
export const migrations: readonly Migration[] = [
  firstTables,
  fileLinkKeys,
  databaseId,
  sandboxSpecs,
  apiKeys,
  tenants,
  sessions,
  sandboxNetwork,
  registryCredentials,
  secrets,
  sandboxSecrets,
];
