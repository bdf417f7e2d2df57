import { builtinModules } from "node:module";
import { dirname, join, normalize } from "node:path/posix";
import {
  allowedDependencies,
  compositionRoots,
  contractFloor,
  environmentReader,
  isTest,
  providerOf,
  providerRegistry,
  roomOf,
  runsAnywhere,
  sourcesOfChance,
} from "./map.ts";
import type { Facts, Use } from "./syntax.ts";

export interface SourceFile {
  /** Folder under packages/; undefined for scripts and tests at the root. */
  readonly packageFolder: string | undefined;
  /** Relative to the package's src folder, or to the root where there is no package. */
  readonly path: string;
  readonly facts: Facts;
}

export interface PackageFacts {
  /** Own name, for example "@stacyvm/server". */
  readonly name: string;
  readonly dependencies: readonly string[];
}

export interface Objection {
  readonly line: number;
  readonly what: string;
  /** What to do instead. */
  readonly remedy: string;
}

const builtins = new Set(builtinModules.map((name) => name.replace(/^node:/, "")));
const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

const relativeObjection = (from: string, to: string): Omit<Objection, "line"> | undefined => {
  if (compositionRoots.includes(to) && from !== "main.ts")
    return { what: `imports ${to}`, remedy: "only main.ts may; take what you need as an option instead" };
  const here = roomOf(from);
  const there = roomOf(to);
  if (here === undefined)
    return {
      what: "stands on no floor",
      remedy: "move it into a room of the map, or give its room a floor in scripts/floors/map.ts",
    };
  if (there === undefined)
    return {
      what: `imports ${to}, which stands on no floor`,
      remedy: "give its room a floor in scripts/floors/map.ts",
    };
  const [ours, theirs] = [providerOf(from), providerOf(to)];
  if (theirs !== undefined && ours !== theirs && here.name === "providers" && from !== providerRegistry)
    return {
      what:
        ours === undefined ? `imports the provider ${theirs}` : `the provider ${ours} imports the provider ${theirs}`,
      remedy: "move what they share into providers/, or take it as an option",
    };
  const sameRoom = here.name === there.name || (here.group !== undefined && here.group === there.group);
  if (there.floor < here.floor || sameRoom) return undefined;
  return {
    what: `${here.name} (floor ${here.floor}) imports ${there.name} (floor ${there.floor})`,
    remedy:
      there.floor > here.floor
        ? "imports go downward: put the shared part on a lower floor, or take it as an option"
        : "rooms of one floor don't know each other: meet at an interface on floor 3, wired by the composition root",
  };
};

const outsideObjection = (
  file: SourceFile,
  owner: PackageFacts,
  specifier: string,
): Omit<Objection, "line"> | undefined => {
  const folder = file.packageFolder ?? "";
  const plain = specifier.replace(/^node:/, "");
  if (specifier.startsWith("node:") || builtins.has(plain.split("/")[0] ?? "")) {
    if (runsAnywhere.includes(folder))
      return {
        what: `imports ${specifier}`,
        remedy: `packages/${folder} also runs where Node's modules are missing: use web APIs`,
      };
    return undefined;
  }
  const name = packageOf(specifier);
  if (name === owner.name)
    return { what: `imports its own package ${name}`, remedy: "import the file by a relative path" };
  const allowed = allowedDependencies[folder] ?? owner.dependencies;
  if (!allowed.includes(name))
    return {
      what: `imports ${name}`,
      remedy:
        allowedDependencies[folder] === undefined
          ? `declare it with an exact version in packages/${folder}/package.json, or do without`
          : `packages/${folder} may import ${allowed.length === 0 ? "nothing" : allowed.join(", ")} from outside`,
    };
  const floor = roomOf(file.path)?.floor;
  if (folder === "server" && name === "@stacyvm/contract" && floor !== undefined && floor < contractFloor)
    return {
      what: `floor ${floor} imports the contract`,
      remedy: "lib/ knows nothing of the product: move the file up",
    };
  return undefined;
};

const importObjection = (
  file: SourceFile,
  owner: PackageFacts,
  specifier: string | undefined,
): Omit<Objection, "line"> | undefined => {
  if (specifier === undefined)
    return {
      what: "imports a module by a computed name",
      remedy: "write the name as a literal, so that the floors can be checked",
    };
  if (!specifier.startsWith(".") && !specifier.startsWith("/")) return outsideObjection(file, owner, specifier);
  const target = normalize(join(dirname(file.path), specifier));
  if (target.startsWith("..") || target.startsWith("/"))
    return { what: `imports ${specifier} from outside its package`, remedy: "import the other package by its name" };
  return file.packageFolder === "server" ? relativeObjection(file.path, target) : undefined;
};

const useObjection = (file: SourceFile, use: Use, text: string): Omit<Objection, "line"> | undefined => {
  switch (use) {
    case "shell":
      return { what: `runs a command through a shell (${text})`, remedy: "use spawn or execFile with an argv array" };
    case "shell-command":
      return {
        what: `${text} builds a shell command from values`,
        remedy: "pass the values as arguments of their own",
      };
    case "environment":
      return file.packageFolder === "server" && file.path !== environmentReader && !isTest(file.path)
        ? { what: `reads ${text}`, remedy: `only ${environmentReader} does: add a key to the configuration` }
        : undefined;
    case "time":
    case "randomness":
      return file.packageFolder === "server" && !sourcesOfChance.includes(file.path) && !isTest(file.path)
        ? { what: `uses ${text}`, remedy: use === "time" ? "take a Clock (lib/clock.ts)" : "take ids from lib/id.ts" }
        : undefined;
  }
};

/** Everything one file does that its floor forbids. */
export const objectionsTo = (file: SourceFile, owner: PackageFacts): Objection[] => {
  const found: Objection[] = file.facts.failures.map((failure) => ({
    line: 1,
    what: `cannot be parsed: ${failure}`,
    remedy: "mend the syntax; an unread file is never clean",
  }));
  const checksImports = file.packageFolder !== undefined && !isTest(file.path);
  if (checksImports && file.packageFolder === "server" && roomOf(file.path) === undefined)
    found.push({
      line: 1,
      what: "stands on no floor",
      remedy: "move it into a room of the map, or give its room a floor in scripts/floors/map.ts",
    });
  for (const { specifier, line } of checksImports ? file.facts.imports : []) {
    const objection = importObjection(file, owner, specifier);
    if (objection !== undefined && objection.what !== "stands on no floor") found.push({ line, ...objection });
  }
  for (const { use, text, line } of file.facts.uses) {
    const objection = useObjection(file, use, text);
    if (objection !== undefined) found.push({ line, ...objection });
  }
  return found.sort((a, b) => a.line - b.line);
};
