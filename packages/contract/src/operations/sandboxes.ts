import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { count, durationAnswer, durationText, oneOf, status, text, timestamp } from "../wire.ts";
import {
  labelKey,
  labelValue,
  sandboxDetail,
  sandboxName,
  sandboxSpec,
  sandboxSpecAudit,
  view,
  viewQuery,
} from "./sandbox-spec.ts";

/** The id in a sandbox's path. Any bounded text: an id that was never given out is simply not found. */
export const sandboxParams = z.strictObject({ id: text(128).min(1) });

/** What any call into a sandbox may fail with. */
export const guestErrors = [
  "sandbox_not_found",
  "sandbox_destroyed",
  "state_conflict",
  "sandbox_limit",
  "provider_unavailable",
  "guest_unreachable",
  "guest_protocol",
  "lease_lost",
] as const;

export const Sandbox = z
  .strictObject({
    id: z.string(),
    state: z.enum([
      "creating",
      "running",
      "idle",
      "unhealthy",
      "expired",
      "error",
      "destroying",
      "destroyed",
      "stopped",
      "paused",
      "restarting",
      "unknown",
    ]),
    provider: z.string(),
    image: z.string(),
    memory_mb: z.int(),
    vcpus: z.int(),
    owner_id: z.string().optional(),
    tenant_id: z.string().optional(),
    vm_id: z.string().optional(),
    worker_id: z.string().optional(),
    created_at: timestamp,
    expires_at: timestamp,
    metadata: z.record(z.string(), z.string()).optional(),
    preview_domain: z.string().optional(),
    ...sandboxDetail,
  })
  .meta({ id: "Sandbox", description: "The keys from `name` on only where `view=full` was asked for." });
export type Sandbox = z.output<typeof Sandbox>;

export const SpawnRequest = z
  .object({
    image: text(512).optional(),
    provider: text(64).optional(),
    memory_mb: count(1_048_576).optional(),
    vcpus: count(1024).optional(),
    ttl: durationText.optional(),
    template: text(128).optional(),
    owner_id: text(4096).optional(),
    tenant_id: text(256).optional().meta({ description: "Ignored; the tenant is the caller's." }),
    ...sandboxSpec,
  })
  .meta({ id: "SpawnRequest" });
export type SpawnRequest = z.output<typeof SpawnRequest>;

export const AdmissionDecision = z
  .strictObject({
    allowed: z.boolean(),
    queueable: z.boolean(),
    reason: z
      .enum(["max_ttl", "worker_unavailable", "max_sandboxes", "max_sandboxes_per_owner", "host_disk_low"])
      .optional(),
    active_sandboxes: z.int(),
    max_sandboxes: z.int(),
    active_owner_sandboxes: z.int().optional(),
    max_owner_sandboxes: z.int().optional(),
    max_ttl: durationAnswer.optional(),
  })
  .meta({ id: "AdmissionDecision", closed: true });
export type AdmissionDecision = z.output<typeof AdmissionDecision>;

export const ExtendRequest = z.object({ ttl: durationText.optional() }).meta({ id: "ExtendRequest" });

export const SandboxStats = z
  .strictObject({
    supported: z.boolean(),
    cpu_pct: z.number().optional(),
    mem_bytes: z.int().optional(),
    mem_limit_bytes: z.int().optional(),
  })
  .meta({ id: "SandboxStats" });

export const spawnSandbox = defineOperation({
  id: "sandboxes.spawn",
  method: "POST",
  path: "/api/v1/sandboxes",
  summary: "Spawn a sandbox; answers when commands can run in it",
  permission: "sandbox:write",
  auditClass: "write",
  auditFields: {
    image: "public",
    provider: "public",
    memory_mb: "public",
    vcpus: "public",
    ttl: "public",
    template: "public",
    owner_id: "public",
    ...sandboxSpecAudit,
  },
  errors: [
    "provider_not_found",
    "template_not_found",
    "image_not_found",
    "ttl_above_max",
    "sandboxes_exhausted",
    "owner_sandboxes_exhausted",
    "spawn_queue_full",
    "spawn_queue_timeout",
    "already_exists",
    "state_conflict",
    "idempotency_key_reused",
    "sandbox_destroyed",
    "policy_denied",
    "not_supported",
    "provider_unavailable",
    "image_pull_failed",
    "spawn_failed",
    "guest_unreachable",
    "guest_protocol",
    "disk_full",
    "host_disk_low",
  ],
  stream: "none",
  lenient: true,
  idempotencyKey: true,
  trailingSlash: true,
  query: viewQuery,
  body: SpawnRequest,
  answers: { 200: json(Sandbox), 201: json(Sandbox) },
});

export const admitSandbox = defineOperation({
  id: "sandboxes.admission",
  method: "POST",
  path: "/api/v1/sandboxes/admission",
  summary: "Tell whether a spawn would be admitted now",
  permission: "sandbox:read",
  auditClass: "none",
  errors: ["provider_not_found", "template_not_found"],
  stream: "none",
  lenient: true,
  body: SpawnRequest,
  answers: { 200: json(AdmissionDecision) },
});

const labelFilter = text(400).refine((filter) => {
  const [, key = filter, value = ""] = /^([^=]*)=(.*)$/.exec(filter) ?? [];
  return labelKey.safeParse(key).success && labelValue.safeParse(value).success;
}, "must be key or key=value with the rules of labels");

const instant = text(64).meta({ description: "RFC 3339, or epoch milliseconds; the moment itself is left out." });

export const sandboxSorts = ["created_at", "-created_at", "expires_at", "-expires_at", "name", "-name"] as const;
export type SandboxSortName = (typeof sandboxSorts)[number];

export const listSandboxes = defineOperation({
  id: "sandboxes.list",
  method: "GET",
  path: "/api/v1/sandboxes",
  summary: "List sandboxes, newest first where not sorted; X-Next-Cursor names the next page",
  permission: "sandbox:read",
  auditClass: "read",
  auditFields: {
    state: "public",
    provider: "public",
    owner: "public",
    limit: "public",
    cursor: "public",
    name: "public",
    label: "sensitive",
    created_before: "public",
    created_after: "public",
    sort: "public",
    view: "public",
  },
  errors: [],
  stream: "none",
  lenient: true,
  trailingSlash: true,
  query: z.object({
    limit: z.int().min(1, "must be 1 or more").max(1000, "must be 1000 or less").optional(),
    cursor: text(512).optional(),
    state: text(32).optional(),
    provider: text(64).optional(),
    owner: text(256).optional(),
    name: sandboxName.optional(),
    label: z
      .array(labelFilter)
      .max(16, "must be given 16 times or fewer")
      .meta({ description: "`key=value`, or `key` for any value; repeat it for sandboxes that match all." })
      .optional(),
    created_before: instant.optional(),
    created_after: instant.optional(),
    sort: oneOf(sandboxSorts).meta({ description: "With - before it: descending. Default -created_at." }).optional(),
    view: view.optional(),
  }),
  answers: { 200: json(z.array(Sandbox)) },
});

export const pruneSandboxes = defineOperation({
  id: "sandboxes.prune",
  method: "DELETE",
  path: "/api/v1/sandboxes",
  summary: "Destroy every sandbox that has expired",
  permission: "sandbox:write",
  auditClass: "write",
  errors: [],
  stream: "none",
  lenient: true,
  trailingSlash: true,
  answers: { 200: json(z.strictObject({ pruned: z.int() })) },
});

export const getSandbox = defineOperation({
  id: "sandboxes.get",
  method: "GET",
  path: "/api/v1/sandboxes/{id}",
  summary: "Get one sandbox",
  permission: "sandbox:read",
  auditClass: "read",
  auditFields: { id: "public" },
  errors: ["sandbox_not_found", "sandbox_destroyed"],
  stream: "none",
  lenient: true,
  trailingSlash: true,
  params: sandboxParams,
  query: viewQuery,
  answers: { 200: json(Sandbox) },
});

export const destroySandbox = defineOperation({
  id: "sandboxes.destroy",
  method: "DELETE",
  path: "/api/v1/sandboxes/{id}",
  summary: "Destroy a sandbox; repeating it is no error",
  permission: "sandbox:write",
  auditClass: "write",
  auditFields: { id: "public" },
  errors: ["sandbox_not_found", "lease_lost", "state_conflict", "provider_unavailable"],
  stream: "none",
  lenient: true,
  trailingSlash: true,
  params: sandboxParams,
  answers: { 200: json(status("destroyed")) },
});

export const extendSandbox = defineOperation({
  id: "sandboxes.extend",
  method: "POST",
  path: "/api/v1/sandboxes/{id}/extend",
  summary: "Set the expiry to now plus a time to live",
  permission: "sandbox:write",
  auditClass: "write",
  auditFields: { id: "public", ttl: "public" },
  errors: ["sandbox_not_found", "sandbox_destroyed", "ttl_above_max", "state_conflict"],
  stream: "none",
  lenient: true,
  params: sandboxParams,
  query: viewQuery,
  body: ExtendRequest,
  answers: { 200: json(Sandbox) },
});

export const sandboxLogs = defineOperation({
  id: "sandboxes.logs",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/logs",
  summary: "Read the last lines of the console",
  permission: "sandbox:read",
  auditClass: "read",
  auditFields: { id: "public", lines: "public" },
  errors: ["sandbox_not_found", "sandbox_destroyed", "provider_unavailable", "guest_unreachable", "guest_protocol"],
  stream: "none",
  untrusted: true,
  lenient: true,
  params: sandboxParams,
  query: z.object({ lines: z.int().min(1).catch(100).meta({ description: "100 where absent or not a number." }) }),
  answers: { 200: json(z.array(z.string())) },
});

export const sandboxStats = defineOperation({
  id: "sandboxes.stats",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/stats",
  summary: "Read processor and memory use",
  permission: "sandbox:read",
  auditClass: "none",
  errors: ["sandbox_not_found", "sandbox_destroyed", "provider_unavailable", "guest_unreachable", "guest_protocol"],
  stream: "none",
  lenient: true,
  params: sandboxParams,
  answers: { 200: json(SandboxStats) },
});

export const sandboxOperations = [
  spawnSandbox,
  admitSandbox,
  listSandboxes,
  pruneSandboxes,
  getSandbox,
  destroySandbox,
  extendSandbox,
  sandboxLogs,
  sandboxStats,
] as const;
