import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseSync } from "oxc-parser";
import { snakeCase } from "./snake-case.ts";
import type { Shapes, Surface } from "./surface.ts";

const folder = resolve(import.meta.dirname, "..", "..", "packages", "sdk", "src");

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

const nodes = (value: unknown): readonly Node[] => (Array.isArray(value) ? value : []);
const node = (value: unknown): Node | undefined =>
  typeof value === "object" && value !== null && "type" in value ? (value as Node) : undefined;
const nameOf = (value: unknown): string => String(node(value)?.name ?? node(value)?.value ?? "");

/** Declared types that are values of their own, not a set of options. */
const values: readonly string[] = ["TemplateConfig", "UploadContent", "Transport", "RequestInit"];

interface Sources {
  readonly classes: readonly Node[];
  readonly types: ReadonlyMap<string, Node>;
}

const read = (): Sources => {
  const classes: Node[] = [];
  const types = new Map<string, Node>();
  for (const name of readdirSync(folder).filter((file) => /^[a-z-]+\.ts$/.test(file))) {
    const { program, errors } = parseSync(name, readFileSync(join(folder, name), "utf8"));
    if (errors.length > 0) throw new Error(`${name}: ${errors[0]?.message}`);
    for (const statement of program.body as unknown as readonly Node[]) {
      const declared = statement.type === "ExportNamedDeclaration" ? node(statement.declaration) : undefined;
      if (declared?.type === "ClassDeclaration") classes.push(declared);
      if (declared?.type === "TSInterfaceDeclaration" || declared?.type === "TSTypeAliasDeclaration")
        types.set(nameOf(declared.id), declared);
    }
  }
  return { classes, types };
};

/** Names of the properties of a type that is a set of options; undefined for any other type. */
const optionsOf = (type: Node | undefined, types: Sources["types"]): readonly string[] | undefined => {
  switch (type?.type) {
    case "TSTypeLiteral":
      return nodes(type.members).map((member) => nameOf(member.key));
    case "TSIntersectionType":
    case "TSUnionType":
      return nodes(type.types).reduce<readonly string[] | undefined>((all, one) => {
        const found = optionsOf(one, types);
        return found === undefined ? all : [...(all ?? []), ...found];
      }, undefined);
    case "TSTypeAliasDeclaration":
      return optionsOf(node(type.typeAnnotation), types);
    case "TSInterfaceDeclaration": {
      const inherited = nodes(type.extends).flatMap(
        ({ expression }) => optionsOf(types.get(nameOf(expression)), types) ?? [],
      );
      return [...inherited, ...nodes(node(type.body)?.body).map((member) => nameOf(member.key))];
    }
    case "TSTypeReference": {
      const name = nameOf(type.typeName);
      const inner = nodes(node(type.typeArguments)?.params);
      if (name === "Partial") return wrapped(inner[0], types);
      return values.includes(name) ? undefined : optionsOf(types.get(name), types);
    }
    default:
      return undefined;
  }
};

/** Inside `Partial<…>` a value's properties are options, those apart that an `Omit` names. */
const wrapped = (type: Node | undefined, types: Sources["types"]): readonly string[] | undefined => {
  const [inner, omitted] = nodes(node(type?.typeArguments)?.params);
  if (nameOf(type?.typeName) !== "Omit") return optionsOf(types.get(nameOf(type?.typeName)), types);
  const all = optionsOf(types.get(nameOf(inner?.typeName)), types) ?? [];
  return all.filter((name) => name !== nameOf(omitted?.literal));
};

const parametersOf = (method: Node, types: Sources["types"]): readonly string[] =>
  nodes(node(method.value)?.params).flatMap((parameter) => {
    const target = parameter.type === "AssignmentPattern" ? node(parameter.left) : parameter;
    const type = node(node(target?.typeAnnotation)?.typeAnnotation);
    return optionsOf(type, types) ?? [nameOf(target)];
  });

const isPublic = (member: Node): boolean =>
  node(member.key)?.type === "Identifier" && member.accessibility !== "private" && member.static !== true;

/** Interfaces that the index exports, as what stands on the wire or comes back of it. */
export const typescriptShapes = (): Shapes => {
  const { types } = read();
  const index = readFileSync(join(folder, "index.ts"), "utf8");
  const exported = [...types].filter(
    ([name, type]) => type.type === "TSInterfaceDeclaration" && new RegExp(`\\b${name}\\b`).test(index),
  );
  return new Map(exported.map(([name, type]) => [name, (optionsOf(type, types) ?? []).map(snakeCase)]));
};

/** The surface of the TypeScript client, of the classes that its index exports, read from its source. */
export const typescriptSurface = (): Surface => {
  const { classes, types } = read();
  const index = readFileSync(join(folder, "index.ts"), "utf8");
  const exported = classes.filter(({ id, superClass }) => !superClass && new RegExp(`\\b${nameOf(id)}\\b`).test(index));
  return new Map(
    exported.map((owner) => [
      nameOf(owner.id),
      new Map(
        nodes(node(owner.body)?.body)
          // An overload has no body.
          .filter((member) => isPublic(member) && (member.type !== "TSAbstractMethodDefinition" || node(member.value)))
          .map((member): [string, readonly string[] | undefined] => {
            const isMethod = member.type === "MethodDefinition" && member.kind !== "get";
            return [nameOf(member.key), isMethod ? [...new Set(parametersOf(member, types))] : undefined];
          }),
      ),
    ]),
  );
};
