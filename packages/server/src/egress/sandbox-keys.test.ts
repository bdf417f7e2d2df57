import { expect, test } from "vitest";
import { Secret } from "../lib/secret.ts";
import { sandboxKeys } from "./sandbox-keys.ts";

const keys = sandboxKeys(new Secret("k".repeat(64)));

test("a sandbox has the same seed and placeholders after a restart, and nobody else has them", () => {
  const again = sandboxKeys(new Secret("k".repeat(64)));
  const other = sandboxKeys(new Secret("x".repeat(64)));
  expect(again.seed("sb-1")).toBe(keys.seed("sb-1"));
  expect(again.placeholder("sb-1", "KEY")).toBe(keys.placeholder("sb-1", "KEY"));
  const seeds = [keys.seed("sb-1"), keys.seed("sb-2"), other.seed("sb-1")];
  const placeholders = [
    keys.placeholder("sb-1", "KEY"),
    keys.placeholder("sb-2", "KEY"),
    keys.placeholder("sb-1", "KEY2"),
    other.placeholder("sb-1", "KEY"),
  ];
  expect(new Set(seeds).size).toBe(3);
  expect(new Set(placeholders).size).toBe(4);
  for (const seed of seeds) expect(Buffer.from(seed, "base64")).toHaveLength(32);
  for (const one of placeholders) expect(one).toMatch(/^stacyvm-secret-[0-9a-f]{32}$/);
});
