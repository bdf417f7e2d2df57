import { otherwise } from "./differences.ts";
import type { Shapes } from "./surface.ts";

/** What a caller says, which Python takes as arguments by name: the surface tells those. */
const isAsked = (name: string): boolean => /(Options|Config|Filter|Content)$/.test(name);

/** Fields that one client tells and the other doesn't, and data that Python lacks without a reason. */
export const compareShapes = (typescript: Shapes, python: Shapes): readonly string[] =>
  [...typescript].flatMap(([name, fields]) => {
    if (isAsked(name) || otherwise.has(name)) return [];
    const there = python.get(name);
    if (there === undefined) return [`Python has no ${name}`];
    return [
      ...fields.filter((field) => !there.includes(field)).map((field) => `Python's ${name} has no ${field}`),
      ...there.filter((field) => !fields.includes(field)).map((field) => `TypeScript's ${name} has no ${field}`),
    ];
  });
