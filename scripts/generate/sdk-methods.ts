import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { compareSurfaces } from "../sdk-methods/compare.ts";
import { pythonClient } from "../sdk-methods/python.ts";
import { methodsTable } from "../sdk-methods/table.ts";
import { typescriptSurface } from "../sdk-methods/typescript.ts";

/** Writes docs/generated/sdk-methods.md: the methods of both clients beside each other. */
const { surface: python } = pythonClient();
const { rows } = compareSurfaces(typescriptSurface(), python);
const folder = resolve(import.meta.dirname, "..", "..", "docs", "generated");
mkdirSync(folder, { recursive: true });
writeFileSync(resolve(folder, "sdk-methods.md"), methodsTable(rows, python));
