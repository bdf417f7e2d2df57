import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { text } from "../wire.ts";

export const ProviderHealth = z
  .strictObject({
    name: z.string(),
    healthy: z.boolean(),
    default: z.boolean(),
    latency_ms: z.int(),
    last_checked: z.iso.datetime(),
    error: z.string().optional().meta({ description: "What is missing, and what would help." }),
    capabilities: z.array(z.string()),
    runtime_count: z.int().optional(),
  })
  .meta({ id: "ProviderHealth" });
export type ProviderHealth = z.output<typeof ProviderHealth>;

export const DiskFigures = z
  .strictObject({
    disks: z
      .array(
        z.strictObject({
          use: z.enum(["data", "images", "sandboxes"]),
          total_bytes: z.int(),
          free_bytes: z.int(),
          floor_bytes: z.int().meta({ description: "Below it spawns and pulls are refused (disk.min_free)." }),
          low: z.boolean(),
        }),
      )
      .meta({ description: "The disk below each of the server's directories; they may be one." }),
    images_bytes: z.int().meta({ description: "What all stored images take." }),
  })
  .meta({ id: "DiskFigures" });
export type DiskFigures = z.output<typeof DiskFigures>;

export const ProviderDetail = z
  .strictObject({
    name: z.string(),
    healthy: z.boolean(),
    default: z.boolean(),
    sandbox_count: z.int(),
    health: ProviderHealth,
    config: z.record(z.string(), z.string()),
    disk: DiskFigures.extend({
      sandboxes_promised_bytes: z
        .int()
        .meta({ description: "The disks of this provider's sandboxes if each were filled, where it bounds them." }),
    }),
  })
  .meta({ id: "ProviderDetail" });
export type ProviderDetail = z.output<typeof ProviderDetail>;

const row = { permission: "provider:read", auditClass: "none", stream: "none", lenient: true } as const;
const params = z.strictObject({ name: text(128).min(1) });

export const providerOperations = [
  defineOperation({
    ...row,
    id: "providers.list",
    method: "GET",
    path: "/api/v1/providers",
    summary: "List providers with their health",
    trailingSlash: true,
    errors: [],
    answers: { 200: json(z.array(ProviderHealth)) },
  }),
  defineOperation({
    ...row,
    id: "providers.test",
    method: "POST",
    path: "/api/v1/providers/test",
    summary: "Check every provider; name to health",
    errors: [],
    answers: { 200: json(z.record(z.string(), z.boolean()).meta({ id: "ProviderTest" })) },
  }),
  defineOperation({
    ...row,
    id: "providers.get",
    method: "GET",
    path: "/api/v1/providers/{name}",
    summary: "One provider with its configuration, secrets left out",
    errors: ["provider_not_found"],
    params,
    answers: { 200: json(ProviderDetail) },
  }),
  defineOperation({
    ...row,
    id: "providers.health",
    method: "GET",
    path: "/api/v1/providers/{name}/health",
    summary: "Health of one provider",
    errors: ["provider_not_found"],
    params,
    answers: { 200: json(ProviderHealth) },
  }),
] as const;
