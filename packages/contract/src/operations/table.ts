import type { Operation } from "../operation.ts";
import { apiKeyOperations } from "./api-keys.ts";
import { configOperations } from "./config.ts";
import { execOperations } from "./exec.ts";
import { folderOperations } from "./file-archive.ts";
import { fileLinkOperations } from "./file-links.ts";
import { fileUploadOperations } from "./file-uploads.ts";
import { fileWatchOperations } from "./file-watch.ts";
import { fileOperations } from "./files.ts";
import { networkOperations } from "./network.ts";
import { portOperations } from "./ports.ts";
import { processOperations } from "./processes.ts";
import { providerOperations } from "./providers.ts";
import { quotaOperations } from "./quotas.ts";
import { registryCredentialOperations } from "./registry-credentials.ts";
import { sandboxOperations } from "./sandboxes.ts";
import { secretOperations } from "./secrets.ts";
import { sessionOperations } from "./session.ts";
import { systemOperations } from "./system.ts";
import { telemetryOperations } from "./telemetry.ts";
import { templateOperations } from "./templates.ts";
import { tenantOperations } from "./tenants.ts";
import { workerOperations } from "./workers.ts";

/** Every operation that the server offers. A row without a handler keeps the server from starting. */
export const operations = [
  ...sandboxOperations,
  ...execOperations,
  ...processOperations,
  ...portOperations,
  ...networkOperations,
  ...fileOperations,
  ...fileLinkOperations,
  ...fileWatchOperations,
  ...folderOperations,
  ...fileUploadOperations,
  ...templateOperations,
  ...providerOperations,
  ...quotaOperations,
  ...workerOperations,
  ...apiKeyOperations,
  ...sessionOperations,
  ...tenantOperations,
  ...registryCredentialOperations,
  ...secretOperations,
  ...configOperations,
  ...systemOperations,
  ...telemetryOperations,
] as const;

type Row = (typeof operations)[number];
export type OperationId = Row["id"];

/** Row types by id, so that a handler's types follow from its row. */
export type OperationById = { readonly [R in Row as R["id"]]: R };

/** The same table without the literal types, for code that treats all rows alike. */
export const operationTable: readonly Operation[] = operations;
