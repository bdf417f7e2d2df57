import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { join } from "node:path";

/** A bound as its file declares it: the value is the expression that stands there. */
export interface Bound {
  readonly file: string;
  readonly name: string;
  readonly value: string;
}

/** What a bound's name looks like; other constants are no bounds. */
const boundName =
  /^(max|min)[A-Z]|(Max|Bytes|Ms|Timeout|PerSweep|Age)([A-Z]\w*)?$|^(concurrency|slotCount|loopAttempts)$/;

/** Sizes in bytes that are parts of a format, not bounds. */
const formats = new Set([
  "packages/server/src/images/tar/header.ts blockBytes",
  "packages/server/src/guest/agent/envelope.ts headerBytes",
]);

const typescript = /^(?:export )?const (\w+) = (\d[\d_ *]*|\{ [^}\n]*\d[^}\n]*\})(?: as const)?;/gm;
const go = /^(?:const |\t)(\w+) += (\d[\d_<* ]*|\d+ \* time\.\w+)(?: *\/\/.*)?$/gm;
const member = /^\s+(\w+): +(\d[\d_ *<]*),(?: *\/\/.*)?$/gm;

/** Files whose objects hold bounds as members. */
const holders = ["packages/server/src/images/bounds.ts", "native/internal/bound/bound.go"];

/** Every bound that the server, the host program and the agent declare by name. */
export async function declaredBounds(root: string): Promise<readonly Bound[]> {
  const found: Bound[] = [];
  const add = (file: string, text: string, pattern: RegExp, isBound: (name: string) => boolean) => {
    for (const [, name = "", value = ""] of text.matchAll(pattern)) {
      if (isBound(name) && !formats.has(`${file} ${name}`)) found.push({ file, name, value: value.trim() });
    }
  };
  const patterns = ["packages/server/src/**/*.ts", "native/internal/**/*.go", "native/cmd/stacyvm-*/*.go"];
  for await (const file of glob(patterns, { cwd: root })) {
    if (/(\.(test|testing|d)\.ts|-(contract|fixture)\.ts|_test\.go)$/.test(file)) continue;
    const text = readFileSync(join(root, file), "utf8");
    add(file, text, file.endsWith(".ts") ? typescript : go, (name) => boundName.test(name));
    if (holders.includes(file)) add(file, text, member, () => true);
  }
  return found.sort((a, b) => (`${a.file} ${a.name}` < `${b.file} ${b.name}` ? -1 : 1));
}

/** The rows of ARCHITECTURE's tables of bounds: name, value, file. */
export function documentedBounds(markdown: string): readonly Bound[] {
  const section = markdown.split(/^## Bounds$/m)[1]?.split(/^## /m)[0] ?? "";
  const rows = section.matchAll(/^\| `([^`]+)` +\| `([^`]+)` +\| `([^`]+)`/gm);
  return [...rows].map(([, name = "", value = "", file = ""]) => ({ file, name, value }));
}
