import { LineCounter, parseDocument } from "yaml";
import type { Problem } from "./problem.ts";

/** A larger file is no configuration. */
const maxFileBytes = 1024 * 1024;
const maxDepth = 16;

/** Values of a file by path as written in lower case; maps are handed over whole under the path of their key. */
export interface FileValues {
  readonly values: ReadonlyMap<string, unknown>;
  readonly problems: readonly Problem[];
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads YAML text. Messages never quote the text: it may hold secrets. */
export const parseFile = (file: string, text: string, isGroup: (path: string) => boolean): FileValues => {
  const values = new Map<string, unknown>();
  const problems: Problem[] = [];
  const fail = (message: string, hint: string, path = file): void => {
    problems.push({ path, message, hint });
  };
  if (Buffer.byteLength(text) > maxFileBytes) {
    fail(`${file} is larger than ${maxFileBytes} bytes`, "Name the configuration file.");
    return { values, problems };
  }
  const lines = new LineCounter();
  let root: unknown;
  try {
    const document = parseDocument(text, { prettyErrors: false, lineCounter: lines });
    for (const error of document.errors) {
      const { line, col } = lines.linePos(error.pos[0]);
      const what = error.code.toLowerCase().replaceAll("_", " ");
      fail(`${file} is not valid YAML: ${what} at line ${line}, column ${col}`, "Mend the line; indent with spaces.");
    }
    if (problems.length > 0) return { values, problems };
    root = document.toJS({ maxAliasCount: 100 });
  } catch {
    fail(`${file} is not valid YAML`, "Write plain maps, lists and values.");
    return { values, problems };
  }
  const walk = (node: Record<string, unknown>, prefix: string, depth: number): void => {
    for (const [name, value] of Object.entries(node)) {
      const path = (prefix === "" ? name : `${prefix}.${name}`).toLowerCase();
      if (values.has(path)) fail(`${path} is given twice`, "Case makes no difference; keep one.", path);
      else if (isGroup(path) && isMap(value) && depth < maxDepth) walk(value, path, depth + 1);
      else if (isGroup(path) && value === null) continue;
      else values.set(path, value);
    }
  };
  if (isMap(root)) walk(root, "", 0);
  else if (root !== null && root !== undefined) fail(`${file} must be a map of settings`, "Write key: value lines.");
  return { values, problems };
};
