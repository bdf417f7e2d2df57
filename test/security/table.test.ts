import { expect, test } from "vitest";
import { controls } from "./controls.ts";
import { named } from "./expectations.ts";
import { attacks, scenarios } from "./table.ts";
import { targets } from "./targets.ts";

const ids = attacks.map(({ id }) => id);

test("each attack has an id of its own, and every class has some", () => {
  expect(ids).toEqual([...new Set(ids)]);
  expect(new Set(attacks.map(({ kind }) => kind))).toEqual(new Set(["A", "B", "C", "D"]));
});

test("exceptions name targets and attacks that there are", () => {
  expect(named().targets.filter((name) => !targets.some(({ id }) => id === name))).toEqual([]);
  expect(named().attacks.filter((name) => !ids.includes(name))).toEqual([]);
});

test("each of the eighteen published escapes has rows that look for what it begins with", () => {
  const looked = new Set(attacks.flatMap((attack) => attack.scenarios ?? []));
  expect([...looked].sort((a, b) => a - b)).toEqual(Array.from({ length: 18 }, (_, at) => at + 1));
  expect(Object.keys(scenarios).map(Number)).toEqual([...looked].sort((a, b) => a - b));
});

test("each control that can be taken away holds rows, and no row names another", () => {
  const held = new Set(attacks.flatMap(({ redWithout }) => redWithout ?? []));
  expect([...held].sort()).toEqual(Object.keys(controls).sort());
});
