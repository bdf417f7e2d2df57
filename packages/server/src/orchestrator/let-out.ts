import type { Admission, Egress } from "../egress/egress.ts";
import type { Runtime } from "../providers/provider.ts";
import { closedPolicy, compilePolicy } from "../sandbox/network-policy.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { currentSecrets, type SecretSource } from "./secret-uses.ts";

/** Lets a sandbox out that has a way; the gateway knows nothing of it before. */
export async function letOut(
  egress: Egress,
  source: SecretSource,
  record: SandboxRecord,
  { egressDoor }: Runtime,
): Promise<Admission & { readonly versions: ReadonlyMap<string, string> }> {
  if (egressDoor === undefined) {
    return { cut: 0, isInspected: false, authority: undefined, versions: new Map() };
  }
  const policy = compilePolicy("sandbox", record.network ?? closedPolicy);
  const { uses, versions } = await currentSecrets(source, record);
  return { ...(await egress.admit(record.id, egressDoor, policy, uses)), versions };
}
