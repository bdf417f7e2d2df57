import { StacyError } from "@stacyvm/contract";
import type { Place } from "../sandbox/scope.ts";
import type { Template } from "../store/store.ts";
import type { Context } from "./context.ts";
import type { SpawnRequest } from "./spawn-record.ts";

/** Throws template_not_found. */
export async function findTemplate(context: Context, place: Place, name: string): Promise<Template> {
  const template = await context.store.templates.get(place, name);
  if (template === undefined) throw new StacyError("template_not_found", `not found: template "${name}"`);
  return template;
}

/**
 * A spawn request with what its template fills in. Clients always send an image, the default one where their user
 * named none; so that one gives way to the template's.
 */
export function applyTemplate(template: Template, request: SpawnRequest, defaultImage: string): SpawnRequest {
  const ownImage = request.image !== undefined && request.image !== "" && request.image !== defaultImage;
  const provider = request.provider || template.provider;
  return {
    ...request,
    image: ownImage ? (request.image ?? template.image) : template.image,
    ...(provider === "" ? {} : { provider }),
    memoryMb: request.memoryMb || template.memoryMb,
    vcpus: request.vcpus || template.cpuCores,
    ...(request.ttlMs === undefined && template.ttlSeconds > 0 ? { ttlMs: template.ttlSeconds * 1000 } : {}),
    metadata: { ...template.metadata, ...request.metadata, template: template.name },
    env: { ...template.env, ...request.env },
  };
}
