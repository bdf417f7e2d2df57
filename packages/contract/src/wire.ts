import { z } from "zod";
import { errorCatalogue } from "./errors.ts";

/** Text without NUL, which no argument, path or environment can carry. */
export const text = (max: number) =>
  z
    .string()
    .max(max, `must be ${max} characters or fewer`)
    .regex(/^[^\0]*$/, "must not contain NUL");

/** RFC 3339 with up to nine fractional digits. */
export const timestamp = z.iso.datetime({ offset: true }).meta({ description: "RFC 3339." });

/** A Go duration such as `1h0m0s` or `12.3ms`, as the server writes it. */
export const durationAnswer = z
  .string()
  .regex(/^-?(\d+(\.\d+)?(ns|µs|ms|s|m|h))+$/)
  .meta({ description: "Go duration, for example 1h0m0s or 12.3ms." });

/** A Go duration as callers write it; parsed, and refused with a message of its own, by the use case. */
export const durationText = text(64).meta({ description: "Go duration, for example 90s, 10m or 1h30m." });

/** Whole number from 0; negative ones are refused by name. */
export const count = (max: number) => z.int().min(0, "cannot be negative").max(max, `must be ${max} or less`);

/** Map of text to text with a bounded number of entries. */
export const textMap = (bounds: { readonly entries: number; readonly key: number; readonly value: number }) =>
  z
    .record(text(bounds.key).min(1, "must not be empty"), text(bounds.value))
    .refine((map) => Object.keys(map).length <= bounds.entries, `must have ${bounds.entries} entries or fewer`);

/** Sizes of what callers may store with a sandbox or a template. */
export const metadata = textMap({ entries: 128, key: 256, value: 4096 });

/** One of a few words; the refusal names them all. */
export const oneOf = <const Values extends readonly string[]>(values: Values) =>
  z.enum(values, `must be one of ${values.join(", ")}`);

/** The envelope of every failure. */
export const ErrorBody = z
  .strictObject({
    code: z.enum([...new Set(Object.values(errorCatalogue).map((entry) => entry.code))]),
    message: z.string(),
    reason: z.enum(Object.keys(errorCatalogue) as [keyof typeof errorCatalogue, ...(keyof typeof errorCatalogue)[]]),
    request_id: z.string(),
    remediation: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: "ErrorBody", description: "What went wrong, whose turn it is, and what would help." });
export type ErrorBody = z.output<typeof ErrorBody>;

/** `{"status": "…"}` with a constant. */
export const status = <const S extends string>(value: S) => z.strictObject({ status: z.literal(value) });
