import type { Context } from "./context.ts";
import { currentSecrets } from "./secret-uses.ts";

/** How often the secrets that sandboxes use are compared with those that are kept, milliseconds; changes made here count at once. */
export const secretRefreshMs = 2_000;

/** Tells the gateway of secrets that were changed or taken back since it was told of them, by whichever server. */
export async function refreshSecrets(context: Pick<Context, "live" | "store" | "secrets">): Promise<void> {
  const { live, store, secrets } = context;
  for (const [id, versions] of [...live.secretVersions]) {
    const record = await store.sandboxes.get(id);
    if (record === undefined) continue;
    const now = (await currentSecrets(secrets, record)).versions;
    const isCurrent = [...versions].every(([name, version]) => now.get(name) === version);
    if (!isCurrent) await live.readmit(id, () => store.sandboxes.get(id));
  }
}
