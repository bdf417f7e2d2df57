import { plainBytes } from "../archive.ts";
import type { Layer } from "../layered-image.ts";
import { readTar } from "../tar/read.ts";
import { layerOf, type WrittenEntry } from "./written-layer.ts";

/** One line of /etc/passwd. */
export interface Account {
  readonly name: string;
  /** Of the user and of the group. */
  readonly id: number;
  /** Without the leading slash. */
  readonly home: string;
  readonly loginShell: string;
}

/** What a base as mmdebstrap made it says about itself. */
export interface BaseFacts {
  /** Content of the files that were looked for and are there, by their paths without a leading slash. */
  readonly texts: ReadonlyMap<string, string>;
  /** Paths of apt's configuration that came from the host. */
  readonly hostApt: readonly string[];
}

const osRelease = "usr/lib/os-release";
const wanted = new Set([osRelease, "etc/passwd", "etc/group"]);
const isHostApt = (path: string) =>
  /^etc\/apt\/(?:sources\.list$|sources\.list\.d\/.|apt\.conf\.d\/99mmdebstrap$)/.test(path);

export async function readBaseFacts(path: string, signal: AbortSignal): Promise<BaseFacts> {
  const texts = new Map<string, string>();
  const hostApt: string[] = [];
  for await (const { header, body } of readTar(plainBytes(path, signal))) {
    const name = header.name.replace(/^(?:\.?\/)+/, "");
    if (isHostApt(name) && header.type !== "directory") hostApt.push(name);
    if (header.type !== "file" || !wanted.has(name)) continue;
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(Buffer.from(chunk));
    texts.set(name, Buffer.concat(chunks).toString("latin1"));
  }
  return { texts, hostApt };
}

export interface SettingsOptions {
  /** Code name of the release. */
  readonly suite: string;
  readonly arch: NodeJS.Architecture;
  readonly account: Account | undefined;
  /** Version whose headers are in /usr/local/include. */
  readonly nodeVersion?: string | undefined;
}

/**
 * The layer that takes the building machine out of a base (its name, its resolver, its mirror and proxies) and puts the
 * distribution's own package sources in. Those of a distribution that isn't known stay as the host has them.
 */
export function settingsLayer({ texts, hostApt }: BaseFacts, options: SettingsOptions): Layer {
  const distribution = /^ID="?([a-z]+)"?$/m.exec(texts.get(osRelease) ?? "")?.[1] ?? "";
  const sources = sourcesOf(distribution, options);
  const entries: WrittenEntry[] = [
    { name: "etc/hostname", content: "localhost\n" },
    { name: "etc/resolv.conf", content: "" },
  ];
  for (const path of hostApt) {
    if (sources === undefined && path.startsWith("etc/apt/sources")) continue;
    entries.push({ name: path.replace(/([^/]+)$/, ".wh.$1"), content: "" });
  }
  if (sources !== undefined) entries.push({ name: `etc/apt/sources.list.d/${distribution}.sources`, content: sources });
  if (options.nodeVersion !== undefined) entries.push(...knownHeaders(options.nodeVersion, "root", 0));
  return layerOf([...entries, ...accountEntries(texts, options)]);
}

/** deb822, as the distribution's own images have it; undefined for one that isn't known. */
function sourcesOf(distribution: string, { suite, arch }: SettingsOptions): string | undefined {
  const stanza = (uri: string, suites: readonly string[], components: string, keyring: string) =>
    [
      "Types: deb",
      `URIs: ${uri}`,
      `Suites: ${suites.join(" ")}`,
      `Components: ${components}`,
      `Signed-By: /usr/share/keyrings/${keyring}`,
      "",
    ].join("\n");
  if (distribution === "debian") {
    const debian = (uri: string, ...suites: string[]) => stanza(uri, suites, "main", "debian-archive-keyring.gpg");
    if (/^(?:sid|unstable)$/.test(suite)) return debian("http://deb.debian.org/debian", suite);
    return [
      debian("http://deb.debian.org/debian", suite, `${suite}-updates`),
      debian("http://deb.debian.org/debian-security", `${suite}-security`),
    ].join("\n");
  }
  if (distribution === "ubuntu") {
    const ubuntu = (uri: string, ...suites: string[]) =>
      stanza(uri, suites, "main restricted universe multiverse", "ubuntu-archive-keyring.gpg");
    const ports = "http://ports.ubuntu.com/ubuntu-ports";
    const [archive, security] =
      arch === "x64" ? ["http://archive.ubuntu.com/ubuntu", "http://security.ubuntu.com/ubuntu"] : [ports, ports];
    return [
      ubuntu(archive, suite, `${suite}-updates`, `${suite}-backports`),
      ubuntu(security, `${suite}-security`),
    ].join("\n");
  }
  return undefined;
}

/** Nothing where the image has a user with that id, as Ubuntu's own images do from 24.04. */
function accountEntries(texts: BaseFacts["texts"], { account, nodeVersion }: SettingsOptions): readonly WrittenEntry[] {
  if (account === undefined) return [];
  const { name, id, home, loginShell } = account;
  const [users = "", groups = ""] = [texts.get("etc/passwd"), texts.get("etc/group")];
  if (new RegExp(`^(?:${name}:|[^:]*:[^:]*:${id}:)`, "m").test(`${users}\n${groups}`)) return [];
  return [
    { name: "etc/passwd", content: `${users}${name}:x:${id}:${id}::/${home}:${loginShell}\n` },
    { name: "etc/group", content: `${groups}${name}:x:${id}:\n` },
    { name: home, type: "directory", owner: id },
    // Global packages of npm come where this user may write, beside what pip installs.
    { name: `${home}/.npmrc`, content: `prefix=/${home}/.local\n`, owner: id },
    ...(nodeVersion === undefined ? [] : knownHeaders(nodeVersion, home, id)),
  ];
}

/** What node-gyp takes for headers that it has downloaded, of that version alone; the number is the one it asks for. */
function knownHeaders(version: string, home: string, owner: number): readonly WrittenEntry[] {
  const cache = `${home}/.cache/node-gyp`;
  const directories = [`${home}/.cache`, cache, `${cache}/${version}`];
  return [
    ...directories.map((name) => ({ name, type: "directory", owner }) as const),
    { name: `${cache}/${version}/installVersion`, content: "11\n", owner },
    { name: `${cache}/${version}/include`, type: "symlink", content: "/usr/local/include", owner },
  ];
}
