import { type Operation, StacyError } from "@stacyvm/contract";
import { z } from "zod";
import { type Fold, foldFor } from "./fold.ts";
import { decodeJson } from "./json.ts";
import { coerceFor, listsOf, parseQuery } from "./query.ts";

interface Problem {
  readonly field: string;
  readonly message: string;
}

const problemsOf = (error: z.ZodError): Problem[] =>
  error.issues.flatMap((issue): Problem[] => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ field: [...issue.path, key].join("."), message: "is not a known field" }));
    }
    const message = issue.code === "invalid_type" ? `must be ${issue.expected}` : issue.message;
    return [{ field: issue.path.join("."), message }];
  });

const invalid = (error: z.ZodError): StacyError => {
  const problems = problemsOf(error);
  const text = problems.map(({ field, message }) => (field === "" ? message : `${field} ${message}`)).join("; ");
  return new StacyError("invalid_input", `invalid input: ${text}`, { details: { problems } });
};

const parse = (schema: z.ZodType, value: unknown): unknown => {
  const result = schema.safeParse(value);
  if (!result.success) throw invalid(result.error);
  return result.data;
};

/** A body of the wrong shape keeps the message that old clients know; the details name the fields. */
const parseBody = (schema: z.ZodType, value: unknown, lenient: boolean): unknown => {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  if (lenient && result.error.issues.some((issue) => issue.code === "invalid_type")) {
    throw new StacyError("invalid_body", "invalid request body", { details: { problems: problemsOf(result.error) } });
  }
  throw invalid(result.error);
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const decodeText = (bytes: Buffer, lenient: boolean): string => {
  if (lenient) return bytes.toString("utf8");
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new StacyError("invalid_body", "invalid request body: it is not UTF-8", { cause });
  }
};

/** The decoders of one row, made once. */
export const decodersFor = (operation: Operation) => {
  const lenient = operation.lenient === true;
  const { params, query, body } = operation;
  const coerce = query === undefined ? undefined : coerceFor(query);
  const lists = query === undefined ? undefined : listsOf(query);
  const schema = body instanceof z.ZodType ? body : undefined;
  const fold: Fold = schema !== undefined && lenient ? foldFor(schema) : (value) => value;
  return {
    params: (values: unknown): unknown => (params === undefined ? {} : parse(params, values)),
    query(url: string): unknown {
      const mark = url.indexOf("?");
      const values = parseQuery(mark === -1 ? "" : url.slice(mark + 1), lists);
      if (query === undefined || coerce === undefined) {
        if (!lenient && Object.keys(values).length > 0)
          throw new StacyError("invalid_input", "invalid input: no query");
        return {};
      }
      return parse(query, coerce(values));
    },
    body(bytes: Buffer): unknown {
      if (schema === undefined) return undefined;
      if (bytes.length === 0 && operation.bodyOptional) return parseBody(schema, {}, lenient);
      return parseBody(schema, fold(decodeJson(decodeText(bytes, lenient), { lenient })), lenient);
    },
  };
};
