import { classDifferences, memberDifferences, parameterDifferences, parameterRules } from "./differences.ts";
import { snakeCase } from "./snake-case.ts";
import type { Surface } from "./surface.ts";

export interface Row {
  /** `Class.name`; undefined where the other one is alone. */
  readonly typescript?: string;
  readonly python?: string;
  readonly note: string;
}

export interface Comparison {
  readonly rows: readonly Row[];
  /** What differs and no reason is given for, and reasons for what doesn't differ. */
  readonly complaints: readonly string[];
}

const sorted = (names: Iterable<string>): string => [...new Set(names)].sort().join(", ");

/** What a member would take in Python, by the rules and the listed difference. */
const expected = (member: string, takes: readonly string[]): string => {
  const own = parameterDifferences.find((one) => one.member === member);
  const rest = takes.filter((name) => own?.typescript.includes(name) !== true);
  const renamed = rest.flatMap((name) => {
    const rule = parameterRules.find(({ typescript }) => typescript === name);
    return rule === undefined ? snakeCase(name) : (rule.python ?? []);
  });
  return sorted([...renamed, ...(own?.python ?? [])]);
};

const shared = (surface: Surface, owner: string): readonly [string, readonly string[] | undefined][] =>
  // What constructs the others is the client's own matter.
  [...(surface.get(owner) ?? [])].filter(([name]) => name !== "constructor" || owner === "Client");

/** Puts the members of both clients side by side. */
export const compareSurfaces = (typescript: Surface, python: Surface): Comparison => {
  const rows: Row[] = [];
  const complaints: string[] = [];
  const reasons = new Set<object>();
  for (const [owner, members] of typescript) {
    const there = new Map(shared(python, owner));
    if (!python.has(owner)) complaints.push(`Python has no class ${owner}`);
    for (const [name, takes] of shared(typescript, owner)) {
      const member = `${owner}.${name}`;
      const counterpart = snakeCase(name);
      if (there.has(counterpart)) {
        const own = parameterDifferences.find((one) => one.member === member);
        if (own !== undefined) reasons.add(own);
        rows.push({ typescript: member, python: `${owner}.${counterpart}`, note: own?.why ?? "" });
        const [want, got] = [expected(member, takes ?? []), sorted(there.get(counterpart) ?? [])];
        if (want !== got) complaints.push(`${member} takes (${want}) by the rules, Python's takes (${got})`);
        const kinds = [takes, there.get(counterpart)].map((one) => (one === undefined ? "a property" : "a method"));
        if (kinds[0] !== kinds[1]) complaints.push(`${member} is ${kinds.join(" here and ")} in Python`);
        there.delete(counterpart);
        continue;
      }
      const why = memberDifferences.find((one) => one.typescript === member);
      if (why === undefined) complaints.push(`Python has no ${member}`);
      else reasons.add(why);
      rows.push({ typescript: member, note: why?.why ?? "" });
    }
    for (const name of there.keys()) {
      const member = `${owner}.${name}`;
      const why = memberDifferences.find((one) => one.python === member);
      if (why === undefined) complaints.push(`TypeScript has no ${member}`);
      else reasons.add(why);
      rows.push({ python: member, note: why?.why ?? "" });
    }
    if (members.size === 0) complaints.push(`nothing was read of TypeScript's ${owner}`);
  }
  for (const owner of python.keys())
    if (!typescript.has(owner) && !classDifferences.has(owner)) complaints.push(`TypeScript has no class ${owner}`);
  for (const why of [...memberDifferences, ...parameterDifferences])
    if (!reasons.has(why)) complaints.push(`a difference is listed that isn't there: ${why.why}`);
  return { rows, complaints };
};
