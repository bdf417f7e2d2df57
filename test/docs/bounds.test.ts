import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Bound, declaredBounds, documentedBounds } from "./bounds.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const line = ({ file, name, value }: Bound) => `${file} ${name} = ${value}`;

test("ARCHITECTURE names every bound of the code with its value, and no other", async () => {
  const declared = (await declaredBounds(root)).map(line);
  const documented = documentedBounds(readFileSync(`${root}ARCHITECTURE.md`, "utf8")).map(line);
  expect(declared.length).toBeGreaterThan(80);
  expect(documented.toSorted()).toEqual(declared.toSorted());
});
