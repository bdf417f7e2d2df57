import { StacyError } from "@stacyvm/contract";
import { z } from "zod";
import { queryParametersMax } from "./bounds.ts";
import { innerType } from "./fold.ts";

const decode = (encoded: string): string => {
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "));
  } catch (cause) {
    throw new StacyError("invalid_input", "invalid input: the query is not percent-encoded UTF-8", { cause });
  }
};

/**
 * A query as names and first values, or all values of those that are lists. Bytes that are not UTF-8 are refused:
 * replaced ones would name another file.
 */
export const parseQuery = (text: string, lists: ReadonlySet<string> = noLists): Record<string, string | string[]> => {
  const values: Record<string, string | string[]> = Object.create(null);
  if (text === "") return values;
  const parts = text.split("&", queryParametersMax + 1);
  if (parts.length > queryParametersMax) {
    throw new StacyError("invalid_input", `invalid input: more than ${queryParametersMax} query parameters`);
  }
  for (const part of parts) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = decode(equals === -1 ? part : part.slice(0, equals));
    const value = () => (equals === -1 ? "" : decode(part.slice(equals + 1)));
    if (lists.has(name)) values[name] = [...(values[name] ?? []), value()];
    else if (!(name in values)) values[name] = value();
  }
  return values;
};

const noLists: ReadonlySet<string> = new Set();

/** Names of the schema's fields that may be given again and again. */
export const listsOf = (schema: z.ZodObject): ReadonlySet<string> =>
  new Set(
    Object.entries(schema.shape)
      .filter(([, field]) => innerType(field as z.ZodType) instanceof z.ZodArray)
      .map(([name]) => name),
  );

const integer = /^-?\d{1,15}$/;

/** Turns texts into the numbers and booleans that the schema asks for; what doesn't fit stays text, and fails there. */
export const coerceFor = (
  schema: z.ZodObject,
): ((values: Readonly<Record<string, string | string[]>>) => Record<string, unknown>) => {
  const kinds = Object.entries(schema.shape).map(([name, field]) => {
    const inner = innerType(field as z.ZodType);
    return [
      name,
      inner instanceof z.ZodNumber ? "number" : inner instanceof z.ZodBoolean ? "boolean" : "text",
    ] as const;
  });
  return (values) => {
    const coerced: Record<string, unknown> = { ...values };
    for (const [name, kind] of kinds) {
      const value = values[name];
      if (typeof value !== "string") continue;
      if (kind === "number" && integer.test(value)) coerced[name] = Number(value);
      else if (kind === "number" && value === "") delete coerced[name];
      else if (kind === "boolean") coerced[name] = value === "true";
    }
    return coerced;
  };
};
