import { inspect } from "node:util";
import { expect, test } from "vitest";
import { Secret } from "./secret.ts";

test("a secret shows itself to reveal alone", () => {
  const secret = new Secret("hunter2");
  const nested = { deep: [{ secret }] };
  const shown = [
    String(secret),
    `${secret}`,
    JSON.stringify(nested),
    inspect(nested, { depth: 9, showHidden: true }),
    Object.values(secret).join(),
    JSON.stringify({ ...secret }),
  ];
  expect(shown.join("\n")).not.toContain("hunter2");
  expect(`${secret}`).toBe("[redacted]");
  expect(secret.reveal()).toBe("hunter2");
});

test("a secret compares by value", () => {
  const secret = new Secret("hunter2");
  expect(secret.equals("hunter2")).toBe(true);
  for (const other of ["", "hunter", "hunter3", "hunter22"]) expect(secret.equals(other)).toBe(false);
});
