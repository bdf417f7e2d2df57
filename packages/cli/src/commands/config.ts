import type { Client } from "stacyvm";
import type { Output } from "../output.ts";
import { table } from "../table.ts";
import { pairsOf } from "./pairs.ts";

/** The settings that may change while the server runs, and which did. */
export async function showConfig(client: Client, output: Output): Promise<void> {
  const now = await client.config.get();
  const changed = new Set(now.changed);
  const heading = ["SETTING", "VALUE", "FROM"];
  const rows = Object.entries(now.settings).map(([path, value]) => [
    path,
    valueText(value),
    changed.has(path) ? "changed until restart" : "server's start",
  ]);
  const layout = { elastic: [heading.indexOf("VALUE")], width: output.width };
  output.result(now, table([heading, ...rows], layout));
}

export async function setConfig(client: Client, output: Output, words: readonly string[]): Promise<void> {
  const wanted = pairsOf("config set", words) ?? {};
  const now = await client.config.set(wanted);
  const lines = Object.keys(wanted).map((name) => {
    const path = name.toLowerCase();
    return `${path} = ${valueText(now.settings[path])}`;
  });
  output.result(now, [...lines, ...(now.message === undefined ? [] : [now.message])].join("\n"));
}

const valueText = (value: string | number | boolean | undefined): string =>
  value === undefined || value === "" ? "-" : String(value);
