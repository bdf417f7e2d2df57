import { type SecretRef, secretVersion } from "../store/secret-store.ts";
import type { Context } from "./context.ts";
import { currentSecrets } from "./secret-uses.ts";

/** How often the secrets that sandboxes use are compared with those that are kept, milliseconds; changes made here count at once. */
export const secretRefreshMs = 2_000;

const keyOf = ({ tenantId, projectId, name }: SecretRef): string => JSON.stringify([tenantId, projectId, name]);

/** Tells the gateway of secrets that were changed or taken back since it was told of them, by whichever server. */
export async function refreshSecrets({
  live,
  store,
  secrets,
}: Pick<Context, "live" | "store" | "secrets">): Promise<void> {
  const told = [...live.toldSecrets].map(([id, { place, versions }]) => ({
    id,
    versions,
    refs: [...versions.keys()].map((name) => ({ ...place, name })),
  }));
  const refs = new Map(told.flatMap((one) => one.refs.map((ref) => [keyOf(ref), ref])));
  const kept = await store.secrets.current([...refs.values()]);
  const now = new Map(kept.map((record) => [keyOf(record), secretVersion(record)]));
  for (const { id, versions, refs } of told) {
    if (refs.every((ref) => versions.get(ref.name) === (now.get(keyOf(ref)) ?? ""))) continue;
    // It may be kept, and not to be had: for other owners, or under a key that this server doesn't have.
    const record = await store.sandboxes.get(id);
    const own = record && (await currentSecrets(secrets, record)).versions;
    const isTold = own === undefined || [...versions].every(([name, version]) => own.get(name) === version);
    if (!isTold) await live.readmit(id, () => store.sandboxes.get(id));
  }
}
