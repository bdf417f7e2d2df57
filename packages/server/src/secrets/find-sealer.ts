import { join } from "node:path";
import { StacyError } from "@stacyvm/contract";
import { randomKey } from "../lib/id.ts";
import type { Secret } from "../lib/secret.ts";
import { ensureKeyFile, readKeyFile } from "./key-file.ts";
import { createSealer, type Sealer } from "./seal.ts";

export interface SealerSettings {
  readonly secretsKey: Secret | undefined;
  readonly previousSecretsKeys: readonly Secret[];
  readonly mode: "development" | "production";
  /** Undefined: the database may be shared with other servers, and so may no key of this one be. */
  readonly embedded: boolean;
  readonly dataDir: string;
}

/**
 * Seals under the configured key. Where there is none, a server of its own, in development, makes itself one at first
 * need; any other has no sealer. What was sealed with a made key opens beside a configured one.
 */
export const findSealer = (settings: SealerSettings): Sealer | undefined => {
  const { secretsKey, previousSecretsKeys: previous, mode, embedded, dataDir } = settings;
  const path = join(dataDir, "secrets.key");
  const made = embedded ? readKeyFile(path) : undefined;
  if (secretsKey !== undefined) return createSealer(secretsKey, made === undefined ? previous : [...previous, made]);
  if (!embedded || mode === "production") return undefined;
  let sealer = made && createSealer(made, previous);
  const current = (): Sealer => {
    sealer ??= createSealer(ensureKeyFile(path, randomKey()), previous);
    return sealer;
  };
  return {
    seal: (value, about) => current().seal(value, about),
    open: (sealed, about) => current().open(sealed, about),
    isCurrent: (sealed) => current().isCurrent(sealed),
  };
};

/** The sealer; throws secrets_key_missing where there is none. */
export const requireSealer = (sealer: Sealer | undefined): Sealer => {
  if (sealer !== undefined) return sealer;
  throw new StacyError("secrets_key_missing", "conflict: this server has no key to encrypt secrets with");
};
