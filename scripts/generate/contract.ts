import { mkdirSync, writeFileSync } from "node:fs";
import { contractOutputs, outputUrl } from "./contract/outputs.ts";

for (const [path, text] of Object.entries(contractOutputs())) {
  mkdirSync(new URL(".", outputUrl(path)), { recursive: true });
  writeFileSync(outputUrl(path), text);
  console.log(path);
}
