import { StacyError } from "@stacyvm/contract";
import { type Egress, noSecrets, type SecretUses } from "../egress/egress.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import {
  type Destination,
  destinationOf,
  destinationText,
  type InjectRule,
  readSecretUses,
  type SecretUse,
  secretMark,
} from "../sandbox/secret-use.ts";
import type { FoundSecret, Vault } from "../secrets/vault.ts";

export type SecretSource = Pick<Vault, "find">;

/** Whose secrets a sandbox may use, and which. */
type User = Pick<SandboxRecord, "id" | "tenantId" | "projectId" | "ownerId">;

const invalid = (message: string, remediation: string): StacyError =>
  new StacyError("invalid_input", `invalid input: ${message}`, { remediation });

/**
 * What a sandbox's row keeps of the secrets that a spawn asks for, each as NAME@host:port. Throws invalid_input for one that isn't there or
 * isn't for that host, and for a variable that is set twice.
 */
export async function secretTexts(
  source: SecretSource,
  user: User,
  uses: readonly SecretUse[],
  env: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const texts = new Set<string>();
  for (const { name, to } of uses) {
    if (Object.hasOwn(env, name)) {
      throw invalid(`env and secrets both set ${name}`, "Leave one of them out.");
    }
    const { hosts } = await required(source, user, name);
    const wanted = to === undefined ? hosts : [allowedHost(name, hosts, to)];
    for (const host of wanted) texts.add(`${name}@${host}`);
  }
  return [...texts];
}

/** Throws invalid_input for a rule whose secret isn't there, or isn't for its host. */
export async function checkInjected(source: SecretSource, user: User, rules: readonly InjectRule[]): Promise<void> {
  for (const { host, secret } of rules) {
    const { hosts } = await required(source, user, secret);
    allowedHost(secret, hosts, destinationOf(host));
  }
}

async function required(source: SecretSource, user: User, name: string): Promise<FoundSecret> {
  const found = await source.find(user, user.ownerId, name);
  if (found !== undefined) return found;
  throw invalid(`unknown secret ${JSON.stringify(name)}`, `Keep it first: stacyvm secret set ${name} --host HOST.`);
}

function allowedHost(name: string, hosts: readonly string[], to: Destination): string {
  const text = destinationText(to);
  if (hosts.includes(text)) return text;
  throw invalid(
    `secret ${name} is not for ${text}, but for ${hosts.join(", ")}`,
    `Use it for one of these, or keep it anew with --host ${text}.`,
  );
}

/** Names of the secrets that a sandbox uses. */
const secretNames = ({ secrets, network }: Pick<SandboxRecord, "secrets" | "network">): readonly string[] => [
  ...new Set(
    [...readSecretUses(secrets), ...(network?.inject ?? [])].map((use) => ("secret" in use ? use.secret : use.name)),
  ),
];

/** What a sandbox's environment holds in place of its secrets. */
export const placeholders = (
  egress: Pick<Egress, "placeholder">,
  { id, secrets }: Pick<SandboxRecord, "id" | "secrets">,
): Readonly<Record<string, string>> =>
  Object.fromEntries(readSecretUses(secrets).map(({ name }) => [name, egress.placeholder(id, name)]));

/** One that this server can't open is as one that isn't there: the sandbox goes on without it. */
async function openable(source: SecretSource, user: User, name: string): Promise<FoundSecret | undefined> {
  try {
    return await source.find(user, user.ownerId, name);
  } catch (error) {
    const isClosed = error instanceof StacyError && ["secrets_key_missing", "secret_unreadable"].includes(error.reason);
    if (isClosed) return undefined;
    throw error;
  }
}

export interface CurrentSecrets {
  readonly uses: SecretUses;
  /** By name; empty for one that isn't to be had. */
  readonly versions: ReadonlyMap<string, string>;
}

/** What the gateway is told of a sandbox's secrets as they are now; one that is gone, or no longer for its host, comes without a value. */
export async function currentSecrets(
  source: SecretSource,
  record: User & Pick<SandboxRecord, "secrets" | "network">,
): Promise<CurrentSecrets> {
  const names = secretNames(record);
  if (names.length === 0) return { uses: noSecrets, versions: new Map() };
  const found = new Map<string, FoundSecret | undefined>();
  for (const name of names) found.set(name, await openable(source, record, name));
  const usable = (name: string, to: Destination) => {
    const secret = found.get(name);
    return { name, ...to, value: secret?.hosts.includes(destinationText(to)) ? secret.value : undefined };
  };
  const inject = record.network?.inject ?? [];
  return {
    uses: {
      placeholders: readSecretUses(record.secrets).flatMap(({ name, to }) => (to ? [usable(name, to)] : [])),
      inject: inject.map(({ host, header, secret, value }) => {
        const [before = "", after = ""] = value.split(secretMark);
        return { ...usable(secret, destinationOf(host)), header, before, after };
      }),
    },
    versions: new Map(names.map((name) => [name, found.get(name)?.version ?? ""])),
  };
}
