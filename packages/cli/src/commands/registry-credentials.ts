import type { Client } from "stacyvm";
import { UsageFailure } from "../failure.ts";
import { readHidden } from "../hidden-input.ts";
import { minute } from "../minute.ts";
import type { Output } from "../output.ts";
import { table } from "../table.ts";

/** Longest password, bytes; the server takes 4096 characters. */
const passwordMaxBytes = 16_384;

/** The password comes from the terminal or from standard input: on a command line others would see it. */
export async function setRegistryCredential(
  client: Client,
  output: Output,
  registry: string,
  { username }: { readonly username: string },
): Promise<void> {
  const password = await readHidden(output, { what: "password", maxBytes: passwordMaxBytes });
  if (password === "") {
    throw new UsageFailure(
      `no password was given: type it, or pipe it in, for example: stacyvm registry-credential set ${registry} --username ${username} < file`,
    );
  }
  const saved = await client.ownTenant.registryCredentials.save(registry, username, password);
  output.result(saved, `Images of ${saved.registry} are pulled as ${saved.username}`);
}

export async function listRegistryCredentials(client: Client, output: Output): Promise<void> {
  const all = await client.ownTenant.registryCredentials.list();
  const heading = ["REGISTRY", "USERNAME", "CREATED", "CREATED BY"];
  const rows = all.map((one) => [one.registry, one.username, minute(one.created_at), one.created_by]);
  const column = (name: string) => heading.indexOf(name);
  const layout = {
    elastic: [column("CREATED BY"), column("USERNAME"), column("REGISTRY")],
    expendable: [column("CREATED BY"), column("CREATED")],
    width: output.width,
  };
  output.result(all, all.length === 0 ? "No registry credentials" : table([heading, ...rows], layout));
}

export async function removeRegistryCredential(client: Client, output: Output, registry: string): Promise<void> {
  await client.ownTenant.registryCredentials.delete(registry);
  output.result({ registry, status: "deleted" }, `The credential for ${registry} is deleted`);
}
