import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { generatedFolders } from "./generators.ts";

const maxListBytes = 64 * 1024 * 1024;

/** Files that are committed or could be: the ignored ones are no source. */
const sourceFiles = (root: string): readonly string[] =>
  execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: maxListBytes,
  })
    .split("\0")
    .filter((path) => path !== "" && existsSync(join(root, path)));

export interface WorkCopy extends Disposable {
  readonly folder: string;
}

/** A copy of the work tree without its generated files, so that what comes to stand there was generated now. */
export const copyWorkTree = (root: string): WorkCopy => {
  const folder = mkdtempSync(join(tmpdir(), "stacyvm-generate-"));
  for (const path of sourceFiles(root)) {
    if (generatedFolders.some((generated) => path.startsWith(`${generated}/`))) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    copyFileSync(join(root, path), join(folder, path));
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
};

/** Paths below the generated folders of a tree, with their contents. */
export const generatedFiles = (root: string): ReadonlyMap<string, Buffer> =>
  new Map(
    generatedFolders
      .filter((generated) => existsSync(join(root, generated)))
      .flatMap((generated) =>
        readdirSync(join(root, generated), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name)),
      )
      .map((path) => [path.slice(root.length + 1), readFileSync(path)]),
  );
