import { StacyError, type Template, type TemplateRequest } from "@stacyvm/contract";
import { formatDuration, parseDuration } from "../../lib/duration.ts";
import type { Template as TemplateRecord } from "../../store/store.ts";
import { rfc3339 } from "./wire-time.ts";

/** The public object; both spellings of processors and time to live, empty fields left out. */
export const templateToWire = (template: TemplateRecord): Template => ({
  name: template.name,
  version: template.version,
  image: template.image,
  ...(template.description === "" ? {} : { description: template.description }),
  ...(template.setup.length === 0 ? {} : { setup: [...template.setup] }),
  ...(template.allowedHosts.length === 0 ? {} : { allowed_hosts: [...template.allowedHosts] }),
  memory_mb: template.memoryMb,
  cpu_cores: template.cpuCores,
  vcpus: template.cpuCores,
  ttl_seconds: template.ttlSeconds,
  ttl: formatDuration(template.ttlSeconds * 1000),
  ...(Object.keys(template.env).length === 0 ? {} : { env: { ...template.env } }),
  ...(template.secrets.length === 0
    ? {}
    : { secrets: template.secrets.map(({ name, injectAt }) => ({ name, inject_at: injectAt })) }),
  pool_size: template.poolSize,
  ...(template.provider === "" ? {} : { provider: template.provider }),
  ...(Object.keys(template.metadata).length === 0 ? {} : { metadata: { ...template.metadata } }),
  created_at: rfc3339(template.createdAtMs),
  updated_at: rfc3339(template.updatedAtMs),
});

const ttlSeconds = (text: string): number => {
  let ms: number;
  try {
    ms = parseDuration(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "invalid duration";
    throw new StacyError("invalid_input", `invalid input: parsing ttl: ${why}`, { cause });
  }
  if (ms <= 0) throw new StacyError("invalid_input", "invalid input: ttl must be positive");
  return Math.ceil(ms / 1000);
};

type Change = Partial<Omit<TemplateRecord, "name" | "createdAtMs" | "updatedAtMs">>;

/** What a request sets. Zero counts as absent where zero makes no sense. */
export const templateChange = (body: TemplateRequest): Change => {
  const cpuCores = body.cpu_cores || body.vcpus;
  const seconds = body.ttl_seconds || (body.ttl ? ttlSeconds(body.ttl) : 0);
  return {
    ...(body.version ? { version: body.version } : {}),
    ...(body.image ? { image: body.image } : {}),
    ...(body.description === undefined ? {} : { description: body.description }),
    ...(body.setup === undefined ? {} : { setup: body.setup }),
    ...(body.allowed_hosts === undefined ? {} : { allowedHosts: body.allowed_hosts }),
    ...(body.memory_mb ? { memoryMb: body.memory_mb } : {}),
    ...(cpuCores ? { cpuCores } : {}),
    ...(seconds ? { ttlSeconds: seconds } : {}),
    ...(body.env === undefined ? {} : { env: body.env }),
    ...(body.secrets === undefined
      ? {}
      : { secrets: body.secrets.map(({ name, inject_at = "" }) => ({ name, injectAt: inject_at })) }),
    ...(body.pool_size === undefined ? {} : { poolSize: body.pool_size }),
    ...(body.provider === undefined ? {} : { provider: body.provider }),
    ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
  };
};
