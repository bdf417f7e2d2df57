import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { count, durationAnswer, durationText, metadata, status, text, textMap, timestamp } from "../wire.ts";
import { sandboxSpec, sandboxSpecAudit, viewQuery } from "./sandbox-spec.ts";
import { Sandbox, spawnSandbox } from "./sandboxes.ts";

export const Template = z
  .strictObject({
    name: z.string(),
    version: z.int(),
    image: z.string(),
    description: z.string().optional(),
    setup: z.array(z.string()).optional(),
    allowed_hosts: z.array(z.string()).optional(),
    memory_mb: z.int(),
    cpu_cores: z.int(),
    vcpus: z.int().meta({ description: "The same as cpu_cores." }),
    ttl_seconds: z.int(),
    ttl: durationAnswer.meta({ description: "The same as ttl_seconds." }),
    env: z.record(z.string(), z.string()).optional(),
    secrets: z.array(z.strictObject({ name: z.string(), inject_at: z.string() })).optional(),
    pool_size: z.int(),
    provider: z.string().optional(),
    metadata: z.record(z.string(), z.string()).optional(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "Template" });
export type Template = z.output<typeof Template>;

const line = text(4096);

/** What is absent gets its default at creation, and keeps its value at a change. A zero size, time or version is absent. */
export const TemplateRequest = z
  .object({
    name: text(128).optional(),
    version: count(1_000_000_000).optional(),
    image: text(512).optional(),
    description: line.optional(),
    setup: z.array(line).max(256, "must have 256 items or fewer").optional(),
    allowed_hosts: z.array(text(253)).max(256, "must have 256 items or fewer").optional(),
    memory_mb: count(1_048_576).optional(),
    cpu_cores: count(1024).optional(),
    vcpus: count(1024).optional(),
    ttl_seconds: count(31_536_000).optional(),
    ttl: durationText.optional(),
    env: textMap({ entries: 256, key: 256, value: 32_768 }).optional(),
    secrets: z
      .array(z.object({ name: text(256), inject_at: text(1024).optional() }))
      .max(64, "must have 64 items or fewer")
      .optional(),
    pool_size: count(10_000).optional(),
    provider: text(64).optional(),
    metadata: metadata.optional(),
  })
  .meta({ id: "TemplateRequest" });
export type TemplateRequest = z.output<typeof TemplateRequest>;

export const TemplateSpawnRequest = z
  .object({ provider: text(64).optional(), ttl: durationText.optional(), ...sandboxSpec })
  .meta({ id: "TemplateSpawnRequest" });

const params = z.strictObject({ name: text(128).min(1) });
const row = { stream: "none", lenient: true } as const;
const auditFields = {
  name: "public",
  version: "public",
  image: "public",
  memory_mb: "public",
  cpu_cores: "public",
  vcpus: "public",
  ttl_seconds: "public",
  ttl: "public",
  pool_size: "public",
  provider: "public",
} as const;

export const templateOperations = [
  defineOperation({
    ...row,
    id: "templates.create",
    method: "POST",
    path: "/api/v1/templates",
    summary: "Create a template",
    permission: "template:write",
    auditClass: "write",
    auditFields,
    trailingSlash: true,
    errors: ["already_exists"],
    body: TemplateRequest,
    answers: { 201: json(Template) },
  }),
  defineOperation({
    ...row,
    id: "templates.list",
    method: "GET",
    path: "/api/v1/templates",
    summary: "List templates, sorted by name",
    permission: "template:read",
    auditClass: "read",
    trailingSlash: true,
    errors: [],
    answers: { 200: json(z.array(Template)) },
  }),
  defineOperation({
    ...row,
    id: "templates.get",
    method: "GET",
    path: "/api/v1/templates/{name}",
    summary: "Get a template",
    permission: "template:read",
    auditClass: "read",
    auditFields: { name: "public" },
    errors: ["template_not_found"],
    params,
    answers: { 200: json(Template) },
  }),
  defineOperation({
    ...row,
    id: "templates.update",
    method: "PUT",
    path: "/api/v1/templates/{name}",
    summary: "Change a template; what is left out stays",
    permission: "template:write",
    auditClass: "write",
    auditFields,
    errors: ["template_not_found"],
    params,
    body: TemplateRequest,
    answers: { 200: json(Template) },
  }),
  defineOperation({
    ...row,
    id: "templates.delete",
    method: "DELETE",
    path: "/api/v1/templates/{name}",
    summary: "Delete a template; its sandboxes live on",
    permission: "template:write",
    auditClass: "write",
    auditFields: { name: "public" },
    errors: ["template_not_found"],
    params,
    answers: { 200: json(status("deleted")) },
  }),
  defineOperation({
    ...row,
    id: "templates.spawn",
    method: "POST",
    path: "/api/v1/templates/{name}/spawn",
    summary: "Spawn a sandbox from a template",
    permission: "sandbox:write",
    auditClass: "write",
    auditFields: { ...sandboxSpecAudit, name: "public", provider: "public", ttl: "public" },
    errors: spawnSandbox.errors,
    idempotencyKey: true,
    params,
    query: viewQuery,
    body: TemplateSpawnRequest,
    bodyOptional: true,
    answers: { 200: json(Sandbox), 201: json(Sandbox) },
  }),
] as const;
