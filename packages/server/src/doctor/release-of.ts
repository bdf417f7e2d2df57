import type { Component } from "../releases/fixed-releases.ts";
import type { Release } from "../releases/judge.ts";
import type { Host } from "./host.ts";

/** Programs that are looked for; proot and qemu have no rows among the fixed releases. */
export type Program = Exclude<Component, "linux"> | "proot" | "qemu";

export interface ProgramRelease {
  readonly path: string;
  readonly version: string;
  /** Name and version of the distribution's package that the file belongs to. */
  readonly package?: { readonly name: string; readonly version: string };
}

const printed: Readonly<Record<Program, RegExp>> = {
  runc: /runc version (\S+)/,
  crun: /crun version (\S+)/,
  runsc: /runsc version (\S+)/,
  docker: /Docker version ([^\s,]+)/,
  containerd: /containerd\S* v?(\d\S*)/,
  proot: /v(\d+\.\d+[\w.]*)/,
  qemu: /QEMU emulator version (\S+)/,
};

/** What programs say of themselves, and the packages they belong to, by their paths; those that say nothing aren't among them. */
export async function releasesOf(
  host: Host,
  programs: readonly { readonly program: Program; readonly path: string }[],
): Promise<readonly (ProgramRelease & { readonly program: Program })[]> {
  const [outputs, owners] = await Promise.all([
    Promise.all(programs.map(({ path }) => host.outputOf(path, ["--version"]))),
    packagesOf(
      host,
      programs.map(({ path }) => path),
    ),
  ]);
  return programs.flatMap(({ program, path }, at) => {
    const version = printed[program].exec(outputs[at] ?? "")?.[1];
    const owner = owners.get(path);
    return version === undefined
      ? []
      : [{ program, path, version, ...(owner === undefined ? {} : { package: owner }) }];
  });
}

export const asRelease = (component: Exclude<Component, "linux">, found: ProgramRelease): Release => ({
  component,
  version: found.version,
  ...(found.package === undefined ? {} : { packageVersion: found.package.version }),
});

/** A package may name its file below / or below /usr, whichever it is since the two are one. */
const otherPlace = (path: string): string => (path.startsWith("/usr/") ? path.slice("/usr".length) : `/usr${path}`);

/** By the path of a file. One question about all, as each reads the list of every package. */
async function packagesOf(host: Host, paths: readonly string[]) {
  const dpkgQuery = host.find("dpkg-query");
  const found = new Map<string, { readonly name: string; readonly version: string }>();
  if (dpkgQuery === undefined || paths.length === 0) return found;
  const search = (await host.outputOf(dpkgQuery, ["-S", ...paths, ...paths.map(otherPlace)])) ?? "";
  const owners = new Map<string, string>();
  for (const [, name = "", file = ""] of search.matchAll(/^([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?: (\/.*)$/gm))
    owners.set(file, name);
  const names = [...new Set(owners.values())];
  if (names.length === 0) return found;
  const shown = (await host.outputOf(dpkgQuery, ["-W", "-f", "$" + "{Package} $" + "{Version}\\n", ...names])) ?? "";
  const versions = new Map(shown.split("\n").map((line) => line.split(" ", 2) as [string, string]));
  for (const path of paths) {
    const name = owners.get(path) ?? owners.get(otherPlace(path));
    const version = name === undefined ? undefined : versions.get(name);
    if (name !== undefined && version !== undefined && version !== "") found.set(path, { name, version });
  }
  return found;
}
