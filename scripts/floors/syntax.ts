import { parseSync } from "oxc-parser";

interface ImportFact {
  /** The text between the quotes; undefined when it is computed at run time. */
  readonly specifier: string | undefined;
  readonly line: number;
  /** Names taken from the module; "*" for the whole of it. */
  readonly names: readonly string[];
}

export type Use = "environment" | "time" | "randomness" | "shell" | "shell-command";

interface UseFact {
  readonly use: Use;
  readonly text: string;
  readonly line: number;
}

export interface Facts {
  readonly imports: readonly ImportFact[];
  readonly uses: readonly UseFact[];
  /** Reasons why the file could not be read; a file that can't be read is never clean. */
  readonly failures: readonly string[];
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";

const nameOf = (value: unknown): string | undefined => {
  if (!isNode(value)) return undefined;
  if (value.type === "Identifier") return String(value.name);
  if (value.type === "Literal" && typeof value.value === "string") return value.value;
  if (value.type === "ChainExpression") return nameOf(value.expression);
  if (value.type === "TemplateLiteral" && (value.expressions as unknown[]).length === 0)
    return (value.quasis as { value: { cooked: string } }[])[0]?.value.cooked;
  return undefined;
};

/** `a.b` and `a["b"]` as "a.b"; deeper chains by their last two names. */
const memberName = (node: Node): string | undefined => {
  const object = isNode(node.object) && node.object.type === "MemberExpression" ? node.object.property : node.object;
  const owner = nameOf(object);
  const property = nameOf(node.property);
  return owner === undefined || property === undefined ? undefined : `${owner}.${property}`;
};

const importedNames = (node: Node): string[] =>
  ((node.specifiers as Node[] | undefined) ?? []).map((specifier) =>
    specifier.type === "ImportSpecifier"
      ? (nameOf(specifier.imported) ?? "*")
      : specifier.type === "ExportSpecifier"
        ? (nameOf(specifier.local) ?? "*")
        : "*",
  );

const randomCalls = new Set([
  "randomUUID",
  "randomBytes",
  "randomInt",
  "randomFillSync",
  "randomFill",
  "getRandomValues",
]);
/** A stopwatch (performance.now) is no clock: it names no moment. */
const timeMembers = new Set(["Date.now", "performance.timeOrigin"]);
const spawners = new Set(["spawn", "spawnSync", "execFile", "execFileSync"]);
const shells = new Set(["exec", "execSync"]);
const commandFlags = new Set(["-c", "-lc", "-ec", "-euc"]);

const isComposed = (node: unknown): boolean =>
  isNode(node) &&
  ((node.type === "TemplateLiteral" && (node.expressions as unknown[]).length > 0) ||
    (node.type === "BinaryExpression" && node.operator === "+"));

const isShellProperty = (node: Node): boolean =>
  nameOf(node.key) === "shell" &&
  isNode(node.value) &&
  node.value.type === "Literal" &&
  (node.value.value === true || /^(\/.*\/)?(ba|da|z|k|a)?sh$/.test(String(node.value.value)));

/** `spawn("sh", ["-c", `rm ${path}`])`: a command line put together from values. */
const composedCommand = (call: Node): boolean =>
  (call.arguments as unknown[]).some((argument) => {
    if (!isNode(argument) || argument.type !== "ArrayExpression") return false;
    const elements = argument.elements as unknown[];
    return elements.some((element, i) => commandFlags.has(nameOf(element) ?? "") && isComposed(elements[i + 1]));
  });

const usesOf = (node: Node): readonly { use: Use; text: string }[] => {
  switch (node.type) {
    case "MemberExpression": {
      const name = memberName(node);
      if (name === undefined) return [];
      if (name === "process.env" || name === "Bun.env" || name === "Deno.env")
        return [{ use: "environment", text: name }];
      if (timeMembers.has(name)) return [{ use: "time", text: name }];
      const member = name.slice(name.indexOf(".") + 1);
      return name === "Math.random" || randomCalls.has(member) ? [{ use: "randomness", text: name }] : [];
    }
    case "NewExpression":
      return nameOf(node.callee) === "Date" && (node.arguments as unknown[]).length === 0
        ? [{ use: "time", text: "new Date()" }]
        : [];
    case "CallExpression": {
      const callee = node.callee;
      const name = isNode(callee) && callee.type === "MemberExpression" ? nameOf(callee.property) : nameOf(callee);
      if (nameOf(callee) === "Date") return [{ use: "time", text: "Date()" }];
      return spawners.has(name ?? "") && composedCommand(node) ? [{ use: "shell-command", text: `${name}(…)` }] : [];
    }
    case "Property":
      return isShellProperty(node) ? [{ use: "shell", text: "shell" }] : [];
    default:
      return [];
  }
};

/** `const { env } = process` and its like read a member without naming it by a dot. */
const destructured = (node: Node): string[] => {
  if (node.type !== "VariableDeclarator" || !isNode(node.id) || node.id.type !== "ObjectPattern") return [];
  const owner = nameOf(node.init);
  if (owner === undefined) return [];
  return (node.id.properties as Node[]).map((property) => `${owner}.${nameOf(property.key) ?? ""}`);
};

const importsOf = (node: Node): { specifier: string | undefined; names: readonly string[] } | undefined => {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
      return isNode(node.source) ? { specifier: nameOf(node.source), names: importedNames(node) } : undefined;
    case "ExportAllDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return { specifier: nameOf(node.source ?? node.argument), names: ["*"] };
    case "TSExternalModuleReference":
      return { specifier: nameOf(node.expression), names: ["*"] };
    case "CallExpression":
      return nameOf(node.callee) === "require" ||
        /^require\.resolve$/.test(isNode(node.callee) ? (memberName(node.callee) ?? "") : "")
        ? { specifier: nameOf((node.arguments as unknown[])[0]), names: ["*"] }
        : undefined;
    default:
      return undefined;
  }
};

const bare = (specifier: string | undefined): string => (specifier ?? "").replace(/^node:/, "");

const usesOfImport = (found: {
  specifier: string | undefined;
  names: readonly string[];
}): { use: Use; text: string }[] =>
  found.names.flatMap((name): { use: Use; text: string }[] => {
    switch (bare(found.specifier)) {
      case "child_process":
        return shells.has(name) ? [{ use: "shell", text: name }] : [];
      case "crypto":
        return randomCalls.has(name) ? [{ use: "randomness", text: name }] : [];
      case "process":
        return name === "env" ? [{ use: "environment", text: "env of node:process" }] : [];
      default:
        return [];
    }
  });

/** `childProcess.exec(…)` where the whole module was imported under that name. */
const namespacesOf = (node: Node): string[] =>
  node.type === "ImportDeclaration" && bare(nameOf(node.source)) === "child_process"
    ? (node.specifiers as Node[]).filter((s) => s.type !== "ImportSpecifier").map((s) => nameOf(s.local) ?? "")
    : [];

/**
 * Reads what a source file imports and which guarded things it uses.
 * @param path decides the dialect by its extension
 */
export const readFacts = (path: string, source: string): Facts => {
  const { program, errors } = parseSync(path, source);
  const lineStarts = [0];
  for (let i = source.indexOf("\n"); i !== -1; i = source.indexOf("\n", i + 1)) lineStarts.push(i + 1);
  const lineOf = (node: Node): number => lineStarts.findLastIndex((start) => start <= node.start) + 1;
  const imports: ImportFact[] = [];
  const uses: UseFact[] = [];
  const namespaces = new Set<string>();
  const visit = (node: Node): void => {
    const line = lineOf(node);
    const found = importsOf(node);
    if (found !== undefined) {
      imports.push({ ...found, line });
      for (const use of usesOfImport(found)) uses.push({ ...use, line });
    }
    for (const name of namespacesOf(node)) namespaces.add(name);
    for (const use of usesOf(node)) uses.push({ ...use, line });
    const members = node.type === "MemberExpression" ? [memberName(node) ?? ""] : destructured(node);
    for (const member of members) {
      const [owner = "", name = ""] = member.split(".");
      if (namespaces.has(owner) && shells.has(name)) uses.push({ use: "shell", text: member, line });
    }
    if (node.type === "VariableDeclarator")
      for (const member of members) if (member === "process.env") uses.push({ use: "environment", text: member, line });
    for (const value of Object.values(node)) {
      if (Array.isArray(value)) for (const item of value) isNode(item) && visit(item);
      else if (isNode(value)) visit(value);
    }
  };
  visit(program as unknown as Node);
  return { imports, uses, failures: errors.map((error) => error.message) };
};
