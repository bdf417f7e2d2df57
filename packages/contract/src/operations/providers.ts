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

const remedied = z.strictObject({
  what: z.string(),
  remedy: z.string().optional().meta({ description: "The command or setting that would add it." }),
});

/** ProviderHealth with what the provider promises on this host. */
export const ProviderReport = ProviderHealth.extend({
  default_reason: z.string().meta({
    description:
      "Why it was, or wasn't, chosen for sandboxes that name no provider, as things stood at the server's start.",
  }),
  isolation: z
    .enum(["none", "userspace", "container", "kernel", "microvm"])
    .meta({ description: "Strength of the wall, weakest first." }),
  versions: z.record(z.string(), z.string()).meta({ description: "Component to version." }),
  limits: z
    .strictObject({
      memory: z.boolean(),
      cpu: z.boolean(),
      pids: z.boolean(),
      disk: z.boolean(),
      tree_kill: z.enum(["cgroup", "pid-namespace", "best-effort"]).meta({
        description: "How a deadline finds the processes of a command; `best-effort` may miss one that hides.",
      }),
    })
    .meta({ description: "What is enforced here, not only asked for." }),
  security_profiles: z.array(
    z.strictObject({
      name: z.enum(["default", "restricted"]),
      offered: z.boolean(),
      remedy: z.string().optional().meta({ description: "What of the host would have to change." }),
    }),
  ),
  networks: z.array(z.enum(["none", "egress", "bridge", "host"])),
  egress_level: z
    .enum(["transparent", "proxy"])
    .optional()
    .meta({ description: "Of egress, where it is offered: what Network.level will be." }),
  missing: z.array(remedied).meta({ description: "What keeps it from being healthy here." }),
  warnings: z
    .array(remedied)
    .meta({ description: "What is wrong although it serves, such as a runtime with known holes." }),
}).meta({ id: "ProviderReport" });
export type ProviderReport = z.output<typeof ProviderReport>;

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
    health: ProviderReport,
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
    summary: "List providers with their health and what each promises here",
    trailingSlash: true,
    errors: [],
    answers: { 200: json(z.array(ProviderReport)) },
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
    summary: "Health of one provider, and what it promises here",
    errors: ["provider_not_found"],
    params,
    answers: { 200: json(ProviderReport) },
  }),
] as const;
