import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { configReference } from "../../packages/server/src/config/reference.ts";

/** Writes docs/generated/config.md: every key with its type, default, variable and meaning. */
const folder = resolve(import.meta.dirname, "..", "..", "docs", "generated");
mkdirSync(folder, { recursive: true });
writeFileSync(resolve(folder, "config.md"), configReference());
