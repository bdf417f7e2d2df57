import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { count, durationAnswer, durationText, status, text, timestamp } from "../wire.ts";

export const OwnerQuota = z
  .strictObject({
    owner_id: z.string(),
    max_sandboxes: z.int(),
    max_ttl: durationAnswer,
    max_exec_timeout: durationAnswer,
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "OwnerQuota" });
export type OwnerQuota = z.output<typeof OwnerQuota>;

export const QuotaRequest = z
  .object({
    max_sandboxes: count(1_000_000).optional().meta({ description: "0 or absent: the default applies." }),
    max_ttl: durationText.optional(),
    max_exec_timeout: durationText.optional(),
  })
  .meta({ id: "QuotaRequest" });

export const QuotaSummary = z
  .strictObject({
    total: z.int(),
    with_max_sandboxes: z.int(),
    with_max_ttl: z.int(),
    with_max_exec_timeout: z.int(),
  })
  .meta({ id: "QuotaSummary", closed: true });

export const QuotaUsage = z
  .strictObject({
    owner_id: z.string(),
    active_sandboxes: z.int(),
    max_sandboxes: z.int(),
    max_ttl: durationAnswer,
    max_exec_timeout: durationAnswer,
    quota_configured: z.boolean(),
  })
  .meta({ id: "QuotaUsage" });

const params = z.strictObject({ owner: text(512).min(1) });
const read = { method: "GET", permission: "quota:read", auditClass: "read", stream: "none", lenient: true } as const;
const write = { permission: "quota:write", auditClass: "write", stream: "none", lenient: true } as const;

export const quotaOperations = [
  defineOperation({
    ...read,
    id: "quotas.list",
    path: "/api/v1/quotas",
    summary: "List the owners' quotas, sorted by owner",
    trailingSlash: true,
    errors: [],
    answers: { 200: json(z.array(OwnerQuota)) },
  }),
  defineOperation({
    ...read,
    id: "quotas.summary",
    path: "/api/v1/quotas/summary",
    summary: "Count quotas by what they set",
    errors: [],
    answers: { 200: json(QuotaSummary) },
  }),
  defineOperation({
    ...read,
    id: "quotas.get",
    path: "/api/v1/quotas/{owner}",
    summary: "Get an owner's quota",
    auditFields: { owner: "public" },
    errors: ["quota_not_found"],
    params,
    answers: { 200: json(OwnerQuota) },
  }),
  defineOperation({
    ...write,
    id: "quotas.save",
    method: "PUT",
    path: "/api/v1/quotas/{owner}",
    summary: "Set an owner's quota as a whole",
    auditFields: { owner: "public", max_sandboxes: "public", max_ttl: "public", max_exec_timeout: "public" },
    errors: [],
    params,
    body: QuotaRequest,
    answers: { 200: json(OwnerQuota) },
  }),
  defineOperation({
    ...write,
    id: "quotas.delete",
    method: "DELETE",
    path: "/api/v1/quotas/{owner}",
    summary: "Delete an owner's quota; the defaults apply again",
    auditFields: { owner: "public" },
    errors: ["quota_not_found"],
    params,
    answers: { 200: json(status("deleted")) },
  }),
  defineOperation({
    ...read,
    id: "quotas.usage",
    path: "/api/v1/quotas/{owner}/usage",
    summary: "What an owner uses, and the limits that apply",
    auditFields: { owner: "public" },
    errors: [],
    params,
    answers: { 200: json(QuotaUsage) },
  }),
] as const;
