import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadConfig } from "./load.ts";
import { configReference } from "./reference.ts";

const root = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));

test("the committed reference is what the schema says", () => {
  expect(readFileSync(root("docs/generated/config.md"), "utf8")).toBe(configReference());
});

test("the example file loads, and sets nothing but what it shows", () => {
  const readFile = (path: string): string => readFileSync(path, "utf8");
  const { sources } = loadConfig({ argvConfigPath: root("stacyvm.example.yaml"), env: {}, cwd: "/", readFile });
  expect(Object.values(sources).filter((source) => source !== "default").length).toBeGreaterThan(5);
});
