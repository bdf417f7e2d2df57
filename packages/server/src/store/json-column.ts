import { StacyError } from "@stacyvm/contract";
import { z } from "zod";

/** Reads and writes one JSON text column; what the schema refuses is a damaged row. */
export interface JsonColumn<T> {
  read(text: string): T;
  write(value: T): string;
}

const jsonColumn = <T>(column: string, schema: z.ZodType<T>): JsonColumn<T> => ({
  read: (text) => {
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw new StacyError("internal", `The database column ${column} holds something unreadable.`, { cause });
    }
  },
  write: (value) => JSON.stringify(value),
});

/**
 * A flat map. Written by hand because a record with the key `__proto__` is legal JSON that a schema library may drop;
 * `null` is read as the empty map, which older databases hold.
 */
const stringMap = z.unknown().transform((value, context): Readonly<Record<string, string>> => {
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    context.addIssue({ code: "custom", message: "expected an object" });
    return z.NEVER;
  }
  const entries = Object.entries(value);
  if (entries.some(([, item]) => typeof item !== "string")) {
    context.addIssue({ code: "custom", message: "expected strings" });
    return z.NEVER;
  }
  return Object.fromEntries(entries);
});

export const stringMapColumn = (column: string): JsonColumn<Readonly<Record<string, string>>> =>
  jsonColumn(column, stringMap);

export const stringListColumn = (column: string): JsonColumn<readonly string[]> =>
  jsonColumn<readonly string[]>(column, z.array(z.string()));

export const secretRefsColumn = (
  column: string,
): JsonColumn<readonly { readonly name: string; readonly injectAt: string }[]> =>
  jsonColumn(column, z.array(z.strictObject({ name: z.string(), injectAt: z.string() })));

export const openMapColumn = (column: string): JsonColumn<Readonly<Record<string, unknown>>> =>
  jsonColumn(column, z.record(z.string(), z.unknown()));
