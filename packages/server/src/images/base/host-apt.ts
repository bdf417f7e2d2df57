import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "../run-tool.ts";

interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  readonly signedBy: string | undefined;
}

/**
 * The host's own sources for a release (with its updates and security suites), as a deb822 file. Sources of third
 * parties name other suites or no `main` component, and stay out of the base. Empty where the host knows no source.
 */
export async function aptSourcesFor(suite: string, etcApt = "/etc/apt"): Promise<string> {
  const wanted = new Set([suite, `${suite}-updates`, `${suite}-security`]);
  const blocks: string[] = [];
  for (const source of await readSources(etcApt)) {
    const suites = source.suites.filter((name) => wanted.has(name));
    if (suites.length === 0 || !source.components.includes("main")) continue;
    blocks.push(
      [
        "Types: deb",
        `URIs: ${source.uris.join(" ")}`,
        `Suites: ${suites.join(" ")}`,
        `Components: ${source.components.join(" ")}`,
        ...(source.signedBy === undefined ? [] : [`Signed-By: ${source.signedBy}`]),
      ].join("\n"),
    );
  }
  return blocks.map((block) => `${block}\n`).join("\n");
}

async function readSources(etcApt: string): Promise<readonly AptSource[]> {
  const directory = join(etcApt, "sources.list.d");
  const names = (await readdir(directory).catch(() => [])).sort();
  const files = [join(etcApt, "sources.list"), ...names.map((name) => join(directory, name))];
  const found: AptSource[] = [];
  for (const file of files) {
    const text = await readFile(file, "utf8").catch(() => "");
    if (file.endsWith(".sources")) found.push(...parseDeb822(text));
    else if (file.endsWith(".list")) found.push(...parseOneLine(text));
  }
  return found;
}

export function parseDeb822(text: string): readonly AptSource[] {
  const found: AptSource[] = [];
  for (const stanza of text.replace(/^#.*\n?/gm, "").split(/\n\s*\n/)) {
    const fields = new Map<string, string>();
    for (const match of stanza.matchAll(/^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)/gm)) {
      fields.set((match[1] ?? "").toLowerCase(), (match[2] ?? "").trim());
    }
    const words = (name: string) => (fields.get(name) ?? "").split(/\s+/).filter((word) => word !== "");
    if (!words("types").includes("deb") || fields.get("enabled")?.toLowerCase() === "no") continue;
    const signedBy = fields.get("signed-by");
    found.push({
      uris: words("uris"),
      suites: words("suites"),
      components: words("components"),
      // A key inside the file spans lines; a path doesn't.
      signedBy: signedBy?.startsWith("/") ? signedBy : undefined,
    });
  }
  return found;
}

export function parseOneLine(text: string): readonly AptSource[] {
  const found: AptSource[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (match === null) continue;
    const [, options = "", uri = "", suite = "", components = ""] = match;
    const signedBy = /(?:^|\s)signed-by=(\/\S+)/.exec(options)?.[1];
    found.push({ uris: [uri], suites: [suite], components: components.trim().split(/\s+/), signedBy });
  }
  return found;
}

/** How the host reaches its sources, which mmdebstrap doesn't take over by itself: proxies, and a mirror frozen in time. */
const takenOver = [
  "Acquire::http::Proxy",
  "Acquire::https::Proxy",
  "Acquire::Check-Valid-Until",
  "Acquire::Check-Date",
  "Acquire::Retries",
];

/** Lines of apt configuration, for example `Acquire::http::Proxy "http://proxy:3128/";`. */
export async function hostAptOptions(signal: AbortSignal): Promise<readonly string[]> {
  const lines: string[] = [];
  await runTool({
    argv: ["apt-config", "dump", "--no-empty", ...takenOver],
    signal,
    timeoutMs: 10_000,
    onLine: (line) => {
      if (takenOver.some((name) => line.startsWith(`${name} `))) lines.push(line);
    },
  });
  return lines;
}
