import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { contractOutputs, outputUrl } from "./outputs.ts";

test.each(Object.entries(contractOutputs()))("%s is what the operation table generates", (path, text) => {
  expect(readFileSync(outputUrl(path), "utf8"), "run: npm run generate").toBe(text);
});
