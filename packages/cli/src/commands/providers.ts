import type { Client, ProviderInfo } from "stacyvm";
import type { Output } from "../output.ts";
import { table } from "../table.ts";

const limitNames = ["memory", "cpu", "pids", "disk"] as const;

const limitsOf = ({ limits }: ProviderInfo): string =>
  limits === undefined ? "-" : limitNames.filter((name) => limits[name]).join(" ") || "none";

const profilesOf = ({ security_profiles: profiles = [] }: ProviderInfo): string =>
  profiles.flatMap(({ name, offered }) => (offered ? [name] : [])).join(" ") || "-";

const cells = (provider: ProviderInfo): readonly string[] => [
  provider.default ? `${provider.name} *` : provider.name,
  provider.healthy ? "healthy" : "not healthy",
  provider.isolation ?? "-",
  limitsOf(provider),
  provider.limits?.tree_kill ?? "-",
  profilesOf(provider),
  provider.networks?.join(" ") ?? "-",
  provider.versions?.runtime ?? "-",
];

/** The server's providers as a table, and below it what is missing or wrong with each. */
export async function providersCommand(client: Client, output: Output): Promise<void> {
  const all = await client.providers();
  const heading = ["NAME", "HEALTH", "WALL", "LIMITS", "TREE KILL", "PROFILES", "NETWORKS", "RUNTIME"];
  const column = (name: string) => heading.indexOf(name);
  const rows = table([heading, ...all.map(cells)], {
    elastic: [column("RUNTIME"), column("LIMITS"), column("PROFILES")],
    expendable: [column("RUNTIME"), column("NETWORKS"), column("TREE KILL"), column("PROFILES"), column("LIMITS")],
    cut: "end",
    width: output.width,
  });
  const remarks = all.flatMap(({ name, default_reason: reason, missing = [], warnings = [] }) => [
    ...(reason === undefined ? [] : [`${name}: ${reason}`]),
    ...missing.flatMap(({ what, remedy }) => [
      `  missing: ${what}`,
      ...(remedy === undefined ? [] : [`  would help: ${remedy}`]),
    ]),
    ...warnings.flatMap(({ what, remedy }) => [
      `  warning: ${what}`,
      ...(remedy === undefined ? [] : [`  would help: ${remedy}`]),
    ]),
  ]);
  output.result(all, all.length === 0 ? "No providers" : [rows, "", ...remarks].join("\n"));
}
