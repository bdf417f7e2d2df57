import { StacyError } from "@stacyvm/contract";
import type { TenantUse } from "../store/tenant-store.ts";
import type { Context } from "./context.ts";
import { endAll } from "./sweep.ts";

const stillThere = (what: "tenant" | "project", id: string, use: TenantUse): StacyError =>
  new StacyError(
    "tenant_in_use",
    `conflict: ${what} ${id} still has ${use.sandboxes} sandboxes, ${use.templates} templates and ${use.apiKeys} API keys`,
    { details: { sandboxes: use.sandboxes, templates: use.templates, api_keys: use.apiKeys } },
  );

/** What takes more than rows to do with a tenant. */
export function tenantUseCases(context: Context) {
  const { tenants, sandboxes } = context.store;

  /** Ends every sandbox of the tenant; those that can't be ended now are left, and nothing new comes meanwhile. */
  const empty = async (id: string, signal: AbortSignal): Promise<void> => {
    const nowMs = context.clock.now();
    if (!(await tenants.markDeleting(id, nowMs))) throw new StacyError("tenant_not_found", "tenant not found");
    await tenants.emptyRows(id, nowMs);
    for (;;) {
      const left = await sandboxes.list({ tenantId: id }, { limit: 500 });
      if (left.length === 0 || (await endAll(context, left, signal)) === 0) return;
    }
  };

  return {
    /**
     * With `cascade` what is in it is ended first. Throws tenant_not_found, or tenant_in_use with what is left: then
     * it can be asked for again.
     */
    remove: async (id: string, cascade: boolean, signal: AbortSignal): Promise<void> => {
      if (cascade) await empty(id, signal);
      const outcome = await tenants.delete(id);
      if (outcome === "not_found") throw new StacyError("tenant_not_found", "tenant not found");
      if (outcome !== "deleted") throw stillThere("tenant", id, outcome);
    },
    /** Throws project_not_found, or tenant_in_use with what is left. */
    removeProject: async (tenantId: string, id: string): Promise<void> => {
      const outcome = await tenants.deleteProject(tenantId, id);
      if (outcome === "not_found") throw new StacyError("project_not_found", "project not found");
      if (outcome !== "deleted") throw stillThere("project", id, outcome);
    },
  };
}
