/** One `import … from "./x.ts";`, over one line or several. */
const relativeImport = /^import [^;]*? from "\.\/[^"]+";\n/gm;
const reExport = /^export (type )?\{([^}]*)\} from "\.\/[^"]+";\n/gm;

/**
 * One self-contained declaration file from those of modules that only import one another. Names must be unique
 * among the modules; the compiler finds two of the same.
 * @param modules file name to the text of its declarations
 * @param entry the module whose exports are the package's
 */
export function bundleDeclarations(modules: ReadonlyMap<string, string>, entry: string): string {
  const exported: string[] = [];
  for (const [, type, names] of (modules.get(entry) ?? "").matchAll(reExport)) {
    for (const name of (names ?? "").split(",").map((part) => part.trim())) {
      if (name !== "") exported.push(type === undefined ? name : `type ${name}`);
    }
  }
  const bodies = [...modules]
    .filter(([name]) => name !== entry)
    .map(([, text]) =>
      text
        .replace(relativeImport, "")
        .replace(/^export \{\};\n/gm, "")
        .replace(/^export /gm, ""),
    );
  return `${bodies.join("")}export { ${exported.join(", ")} };\n`;
}
