import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Objection, objectionsTo, type PackageFacts } from "./rules.ts";
import { readFacts } from "./syntax.ts";

export interface Breach extends Objection {
  /** Relative to the root of the repository. */
  readonly file: string;
}

const source = /\.[cm]?[jt]sx?$/;
const unread = /\.d\.[cm]?ts$|(^|\/)(node_modules|dist|generated|guest\/wire|data)\//;

const filesUnder = (root: string, folder: string): string[] =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(join(root, folder).length + 1))
        .filter((path) => source.test(path) && !unread.test(path))
        .sort()
    : [];

const packageAt = (root: string, folder: string): PackageFacts => {
  const manifest = JSON.parse(readFileSync(join(root, "packages", folder, "package.json"), "utf8"));
  const declared = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
  return { name: manifest.name, dependencies: Object.keys(declared) };
};

const manifestBreaches = (root: string, folder: string): Breach[] => {
  const { dependencies } = packageAt(root, folder);
  const what = `declares the runtime dependency ${dependencies.join(", ")}`;
  return folder === "sdk" && dependencies.length > 0
    ? [
        {
          file: `packages/${folder}/package.json`,
          line: 1,
          what,
          remedy: "the SDK has none: build it in, or do without",
        },
      ]
    : [];
};

/**
 * Every breach of the floors below a repository's root.
 * @param root folder that holds packages/
 * @returns the breaches in the order of files and lines, and how many files were read (zero is a fault of the caller)
 */
export const checkFloors = (root: string): { breaches: Breach[]; fileCount: number } => {
  const breaches: Breach[] = [];
  let fileCount = 0;
  const read = (folder: string, packageFolder: string | undefined, owner: PackageFacts): void => {
    for (const path of filesUnder(root, folder)) {
      fileCount += 1;
      const facts = readFacts(path, readFileSync(join(root, folder, path), "utf8"));
      const file = packageFolder === undefined ? join(folder, path) : path;
      for (const objection of objectionsTo({ packageFolder, path: file, facts }, owner))
        breaches.push({ file: join(folder, path), ...objection });
    }
  };
  for (const folder of readdirSync(join(root, "packages")).sort()) {
    if (!existsSync(join(root, "packages", folder, "package.json"))) continue;
    breaches.push(...manifestBreaches(root, folder));
    read(`packages/${folder}/src`, folder, packageAt(root, folder));
    for (const beside of ["bin", "scripts", "test"])
      read(`packages/${folder}/${beside}`, undefined, { name: "", dependencies: [] });
  }
  for (const folder of ["scripts", "test"]) read(folder, undefined, { name: "", dependencies: [] });
  return { breaches, fileCount };
};
