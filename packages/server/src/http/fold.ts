import { z } from "zod";

/** Unwraps optional, nullable, default and catch. */
export const innerType = (schema: z.ZodType): z.ZodType => {
  let inner: z.ZodType = schema;
  while (
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodCatch
  ) {
    inner = inner.def.innerType as z.ZodType;
  }
  return inner;
};

/** Brings what an old client sent into the schema's own keys. */
export type Fold = (value: unknown) => unknown;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Keys match in any case (the exact one first among equals, the last wins), unknown ones are dropped, null counts as
 * absent. Free maps keep their keys.
 */
export const foldFor = (schema: z.ZodType): Fold => {
  const inner = innerType(schema);
  if (inner instanceof z.ZodArray) {
    const element = foldFor(inner.def.element as z.ZodType);
    return (value) => (Array.isArray(value) ? value.map(element) : value);
  }
  if (!(inner instanceof z.ZodObject)) return (value) => value;
  const fields = new Map<string, { readonly name: string; readonly fold: Fold }>();
  for (const [name, field] of Object.entries(inner.shape)) {
    fields.set(name.toLowerCase(), { name, fold: foldFor(field as z.ZodType) });
  }
  return (value) => {
    if (value === null) return {};
    if (!isObject(value)) return value;
    const folded: Record<string, unknown> = {};
    for (const [name, content] of Object.entries(value)) {
      const field = fields.get(name.toLowerCase());
      if (field !== undefined && content !== null) folded[field.name] = field.fold(content);
    }
    return folded;
  };
};
