import type { Operation } from "@stacyvm/contract";
import { jsonSchema } from "@stacyvm/contract";
import { z } from "zod";

const typeOf = (schema: Record<string, unknown>): string => {
  if (typeof schema.type === "string" && schema.type === "array") return "array";
  return typeof schema.type === "string" ? schema.type : "any";
};

const fieldLines = (place: string, schema: z.ZodType | "bytes" | undefined): string[] => {
  if (schema === "bytes") return [`| ${place} | | bytes | The raw content. |`];
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape).map(([name, field]) => {
    const json = jsonSchema(field as z.ZodType, "input");
    return `| ${place} | \`${name}\` | ${typeOf(json)} | ${typeof json.description === "string" ? json.description : ""} |`;
  });
};

const answerLine = ([status, content]: [string, Operation["answers"][number]]): string => {
  const media = Object.entries(content ?? {}).map(([type, schema]) => {
    const name = typeof schema === "string" ? undefined : schema.meta()?.id;
    return name === undefined ? `\`${type}\`` : `\`${type}\` (${name})`;
  });
  return `- ${status}: ${media.length === 0 ? "no body" : media.join(", ")}`;
};

const section = (operation: Operation): string => {
  const fields = [
    ...fieldLines("path", operation.params),
    ...fieldLines("query", operation.query),
    ...fieldLines("body", operation.body),
  ];
  const table = fields.length === 0 ? [] : ["| in | name | type | |", "|---|---|---|---|", ...fields, ""];
  return [
    `## ${operation.id}`,
    "",
    `\`${operation.method} ${operation.path}\``,
    "",
    `${operation.summary}.`,
    "",
    ...table,
    ...Object.entries(operation.answers).map(answerLine),
    ...(operation.errors.length === 0
      ? []
      : [`- errors: ${operation.errors.map((reason) => `[${reason}](errors.md#${reason})`).join(", ")}`]),
    `- permission \`${operation.permission}\`, audit class \`${operation.auditClass}\``,
    "",
  ].join("\n");
};

/** The operation table as a page for people. */
export const apiPage = (operations: readonly Operation[]): string => `# API reference

All operations, in the order of the table. The machine-readable form is [openapi.json](openapi.json); a running server
gives its own at \`/openapi.json\`. Failures are described in [errors.md](errors.md).

${operations.map(section).join("\n")}`;
