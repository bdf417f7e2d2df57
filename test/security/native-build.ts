import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";

const native = resolve(import.meta.dirname, "../../native");

/** A change of a source file for one build. The file in the repository stays as it is. */
export interface SourceEdit {
  /** Below native/. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly from: string;
  readonly to: string;
}

/** The file for go's `-overlay`, or none where nothing is changed. */
const overlayOf = (edits: readonly SourceEdit[], directory: string): readonly string[] => {
  if (edits.length === 0) return [];
  const sources = new Map<string, string>();
  for (const { file, from, to } of edits) {
    const path = join(native, file);
    const text = sources.get(path) ?? readFileSync(path, "utf8");
    if (text.split(from).length !== 2)
      throw new Error(`${file} has no single ${JSON.stringify(from)}: edit the control`);
    sources.set(
      path,
      text.replace(from, () => to),
    );
  }
  mkdirSync(directory, { recursive: true });
  const replace: Record<string, string> = {};
  for (const [path, text] of sources) {
    const edited = join(directory, basename(path));
    writeFileSync(edited, text);
    replace[path] = edited;
  }
  const overlay = join(directory, "overlay.json");
  writeFileSync(overlay, JSON.stringify({ Replace: replace }));
  return ["-overlay", overlay];
};

/** Builds one of the native programs into the directory, its sources changed by the edits. */
export const buildEdited = (program: string, directory: string, edits: readonly SourceEdit[] = []): string => {
  const path = join(directory, program);
  const overlay = overlayOf(edits, join(directory, `${program}-edited`));
  execFileSync("go", ["build", "-trimpath", ...overlay, "-o", path, `./cmd/${program}`], {
    cwd: native,
    env: { ...process.env, CGO_ENABLED: "0" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return path;
};

/** For the machine's 32-bit mode, where it has one. */
export const buildFor386 = (program: string, directory: string): string | undefined => {
  if (process.arch !== "x64") return undefined;
  const path = join(directory, `${program}-386`);
  execFileSync("go", ["build", "-trimpath", "-o", path, `./cmd/${program}`], {
    cwd: native,
    env: { ...process.env, CGO_ENABLED: "0", GOARCH: "386" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return path;
};
