import { readFileSync } from "node:fs";
import { openApiDocument, operationTable } from "@stacyvm/contract";
import { apiPage } from "./api-page.ts";
import { errorsPage } from "./errors-page.ts";
import { sdkTypes } from "./sdk-types.ts";

const root = new URL("../../../", import.meta.url);

const version = (): string => JSON.parse(readFileSync(new URL("package.json", root), "utf8")).version;

/** Path from the repository's root to what should stand there. */
export const contractOutputs = (): Readonly<Record<string, string>> => {
  const document = openApiDocument(operationTable, version());
  return {
    "docs/generated/openapi.json": `${JSON.stringify(document, null, 2)}\n`,
    "docs/generated/errors.md": errorsPage(),
    "docs/generated/api.md": apiPage(operationTable),
    "packages/sdk/src/generated/api.ts": sdkTypes(document),
  };
};

export const outputUrl = (path: string): URL => new URL(path, root);
