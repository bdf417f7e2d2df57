import type { Clock } from "../lib/clock.ts";
import type { Outbound } from "../lib/outbound.ts";
import { Recent } from "../lib/recent.ts";
import type { Secret } from "../lib/secret.ts";
import { type ImageReference, parseReference } from "./references.ts";
import { type RegistryOptions, registryLogin } from "./registry-access.ts";

/** A tenant's own credential for a registry. */
export interface TenantCredential {
  /** Another one for each credential that was ever given: who pulled with the last one hasn't pulled with this. */
  readonly id: string;
  /** `user:password`. */
  readonly pair: Secret;
}

/** What the images have to know of tenants. */
export interface TenantRegistries {
  /** Whether there are any; without, callers' tenants are labels, and all callers are the server's. */
  any(): Promise<boolean>;
  /** Undefined: the registry is asked as nobody. */
  credential(tenantId: string, registry: string): Promise<TenantCredential | undefined>;
}

/** Who asks a registry for an image: the server with its configured credentials, a tenant with its own, or nobody. */
export interface ImageAsker {
  readonly id: string;
  /** What this asker shows, and to which registries. */
  readonly registries: RegistryOptions;
  /** Whether an engine's own images need the registry's word too. */
  readonly mustAsk: boolean;
  /** Whether the registry has lately let this asker, or anybody, have the manifest. */
  knows(manifest: string): boolean;
  /** The registry did just now. */
  learned(manifest: string): void;
  /** As `registryLogin`. */
  login(signal: AbortSignal): ReturnType<typeof registryLogin>;
}

/** The asker that has the server's configured credentials. */
export const serverAsker = "server";
const nobody = "nobody";

/** How long the registry's word that an asker may have a manifest counts, milliseconds. */
export const imageWordMs = 600_000;
/** The same where it said so to nobody in particular. */
const publicWordMs = 86_400_000;
/** Most such words of each kind that are remembered. */
const imageWordsMax = 10_000;

export interface ImageAskersOptions {
  readonly registries: RegistryOptions;
  readonly outbound: Outbound | undefined;
  /** Absent: every caller is the server's. */
  readonly tenants: TenantRegistries | undefined;
  readonly clock: Clock;
}

export const createImageAskers = ({ registries, outbound, tenants, clock }: ImageAskersOptions) => {
  const own = new Recent<true>({ clock, forMs: imageWordMs, max: imageWordsMax });
  const anybodys = new Recent<true>({ clock, forMs: publicWordMs, max: imageWordsMax });

  const asker = (id: string, shown: RegistryOptions, of: ImageReference, mustAsk: boolean): ImageAsker => {
    const name = (manifest: string): string => `${of.registry}/${of.repository}@${manifest}`;
    const mine = (manifest: string): string => `${id} ${name(manifest)}`;
    return {
      id,
      registries: shown,
      mustAsk,
      knows: (manifest) => own.peek(mine(manifest)) !== undefined || anybodys.peek(name(manifest)) !== undefined,
      learned: (manifest) => (id === nobody ? anybodys.set(name(manifest), true) : own.set(mine(manifest), true)),
      login: (signal) => registryLogin(of.registry, shown, outbound, signal),
    };
  };

  return {
    /** Who asks for the tenant; empty: of none. The reference is a normalised one. */
    async of(tenantId: string, reference: string): Promise<ImageAsker> {
      const parsed = parseReference(reference);
      const anyTenants = (await tenants?.any()) ?? false;
      if (tenants === undefined || !anyTenants || tenantId === "") {
        return asker(serverAsker, registries, parsed, anyTenants);
      }
      const found = await tenants.credential(tenantId, parsed.registry);
      const { authFile: _, credentials: __, ...way } = registries;
      if (found === undefined) return asker(nobody, { ...way, ofTenant: true }, parsed, true);
      const shown = { ...way, ofTenant: true, credentials: { [parsed.registry]: found.pair } };
      return asker(found.id, shown, parsed, true);
    },
  };
};
