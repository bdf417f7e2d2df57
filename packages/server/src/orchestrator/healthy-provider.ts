import { errorCatalogue, StacyError } from "@stacyvm/contract";
import { remarkOf } from "../lib/remark.ts";
import type { Provider } from "../providers/provider.ts";
import type { Context } from "./context.ts";

/**
 * Throws provider_unavailable for a provider that was unhealthy when it was last looked at, and still is. One that was
 * well is taken at its word, as a look before each spawn would cost each spawn; `spawnOn` tells what it misses.
 */
export async function requireHealthy({ providers }: Context, { name }: Provider): Promise<void> {
  if (providers.lastKnown(name)?.healthy !== false) return;
  const { healthy, missing } = await providers.fingerprint(name);
  if (!healthy) throw notHealthy(name, missing);
}

/** The provider's spawn, whose failure tells what the host lacks where it lacks something. */
export const spawnOn =
  (context: Context, provider: Provider): Provider["spawn"] =>
  async (spec, signal) => {
    try {
      return await provider.spawn(spec, signal);
    } catch (error) {
      if (signal.aborted || (error instanceof StacyError && error.entry.fault === "caller")) throw error;
      const { healthy, missing } = await context.providers.recheck(provider.name);
      throw healthy ? error : notHealthy(provider.name, missing, error);
    }
  };

function notHealthy(name: string, missing: readonly string[], cause?: unknown): StacyError {
  const remarks = missing.map(remarkOf);
  const remedies = remarks.flatMap(({ remedy }) => remedy ?? []);
  const whats = remarks.map(({ what }) => what).join("; ");
  return new StacyError("provider_unavailable", `provider ${name} is not healthy: ${whats || "its check failed"}`, {
    remediation:
      remedies.length === 0
        ? errorCatalogue.provider_unavailable.remediation
        : `On the server's host: ${remedies.join("; ")}`,
    ...(cause === undefined ? {} : { cause }),
  });
}
