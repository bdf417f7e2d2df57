import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";

/** As the host program names its table: by its directory. */
const packetFilterOf = (dataDir: string): string =>
  `stacyvm_egress_${createHash("sha256").update(join(dataDir, "oci")).digest("hex").slice(0, 8)}`;

interface Ruleset {
  readonly nftables: readonly { readonly table?: { readonly family: string; readonly name: string } }[];
}

/** The packet filter's tables of servers with these directories; none where there is no nft, or it may not be asked. */
export const packetFilters = async (dataDirs: readonly string[]): Promise<Set<string>> => {
  const names = new Set(dataDirs.map(packetFilterOf));
  const asked = promisify(execFile)("nft", ["--json", "list", "tables"]);
  const { stdout } = await asked.catch(() => ({ stdout: '{"nftables":[]}' }));
  const tables = (JSON.parse(stdout) as Ruleset).nftables.flatMap(({ table }) => table ?? []);
  return new Set(tables.filter(({ name }) => names.has(name)).map(({ family, name }) => `${family} ${name}`));
};
