import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Folders that hold nothing but generated files; one that no generator writes any more is drift too. */
export const generatedFolders: readonly string[] = [
  "native/gen",
  "packages/server/src/guest/wire",
  "packages/sdk/src/generated",
  "sdk-python/src/stacyvm/_sync",
  "docs/generated",
];

export interface Generator {
  readonly argv: readonly string[];
  /** Relative to the root. */
  readonly folder: string;
}

/** The wire from its protobuf files, then every script that stands directly in scripts/generate. */
export const generatorsOf = (root: string): readonly Generator[] => {
  const scripts = join(root, "scripts", "generate");
  const names = existsSync(scripts) ? readdirSync(scripts).filter((name) => /^[a-z0-9-]+\.ts$/.test(name)) : [];
  return [
    { argv: ["buf", "generate"], folder: "native/proto" },
    ...names.sort().map((name) => ({ argv: ["node", `scripts/generate/${name}`], folder: "." })),
  ];
};
