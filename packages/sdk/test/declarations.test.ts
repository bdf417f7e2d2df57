import { expect, test } from "vitest";
import { bundleDeclarations } from "../scripts/declarations.ts";

test("modules become one file whose exports are the entry's", () => {
  const modules = new Map([
    ["a.ts", 'import type { B } from "./b.ts";\nimport {\n  C,\n} from "./c.ts";\nexport interface A {\n  b: B;\n}\n'],
    ["b.ts", "declare const hidden: 1;\nexport type B = typeof hidden;\nexport {};\n"],
    ["index.ts", 'export type { A } from "./a.ts";\nexport { B, type D } from "./b.ts";\n'],
  ]);
  expect(bundleDeclarations(modules, "index.ts")).toBe(
    "interface A {\n  b: B;\n}\ndeclare const hidden: 1;\ntype B = typeof hidden;\nexport { type A, B, type D };\n",
  );
});
