import { z } from "zod";
import { type ErrorReason, errorCatalogue } from "./errors.ts";
import { type Content, commonErrors, type Operation, pathParameters } from "./operation.ts";
import { ErrorBody } from "./wire.ts";

export type JsonSchema = Record<string, unknown>;

/**
 * The JSON schema of what travels. Named schemas become references. Answers may gain keys later, so only those that old
 * clients read as closed sets say so.
 */
export const jsonSchema = (schema: z.ZodType, direction: "input" | "output"): JsonSchema => {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, {
    io: direction,
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      const { closed } = jsonSchema as JsonSchema;
      delete (jsonSchema as JsonSchema).closed;
      if (direction === "output" && closed !== true && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties;
      }
    },
  });
  return json;
};

/** A named schema as a reference, its definition added to the named ones; any other schema in full. */
const reference = (schema: z.ZodType, direction: "input" | "output", named: Map<string, JsonSchema>): JsonSchema => {
  const { $defs, ...json } = jsonSchema(schema, direction);
  const rewrite = (text: string): JsonSchema => JSON.parse(text.replaceAll("#/$defs/", "#/components/schemas/"));
  for (const [name, definition] of Object.entries(($defs ?? {}) as Record<string, JsonSchema>)) {
    const { id: _id, ...rest } = definition;
    named.set(name, rewrite(JSON.stringify(rest)));
  }
  return rewrite(JSON.stringify(json));
};

const content = (media: Content, named: Map<string, JsonSchema>): JsonSchema =>
  Object.fromEntries(
    Object.entries(media).map(([type, schema]) => [
      type,
      typeof schema === "string" ? { schema: { type: "string" } } : { schema: reference(schema, "output", named) },
    ]),
  );

const idempotencyKey: JsonSchema = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "The same request under it gets what the first one made, for a day; another request is 409.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};

const parameters = (operation: Operation): JsonSchema[] => {
  const inPath = new Set(pathParameters(operation.path));
  const headers = operation.idempotencyKey === true ? [idempotencyKey] : [];
  const others = (["params", "query"] as const).flatMap((place) => {
    const schema = operation[place];
    if (schema === undefined) return [];
    return Object.entries(schema.shape).map(([name, field]) => {
      const { description, ...rest } = jsonSchema(field as z.ZodType, "input");
      return {
        name,
        in: inPath.has(name) ? "path" : "query",
        required: inPath.has(name),
        ...(description === undefined ? {} : { description }),
        schema: rest,
      };
    });
  });
  return [...others, ...headers];
};

/** Failures of one status share an entry; their reasons are listed. */
const failures = (operation: Operation): JsonSchema => {
  const byStatus = new Map<number, ErrorReason[]>();
  for (const reason of [...operation.errors, ...commonErrors]) {
    const { status } = errorCatalogue[reason];
    byStatus.set(status, [...(byStatus.get(status) ?? []), reason]);
  }
  return Object.fromEntries(
    [...byStatus]
      .filter(([status]) => operation.answers[status] === undefined)
      .map(([status, reasons]) => [
        status,
        {
          description: reasons.join(", "),
          content: { "application/json": { schema: { $ref: "#/components/schemas/ErrorBody" } } },
        },
      ]),
  );
};

const describe = (operation: Operation, named: Map<string, JsonSchema>): JsonSchema => ({
  operationId: operation.id,
  summary: operation.summary,
  tags: [operation.id.split(".", 1)[0]],
  "x-permission": operation.permission,
  "x-audit-class": operation.auditClass,
  "x-stream": operation.stream,
  security:
    operation.permission === "public" || operation.permission === "signature"
      ? []
      : [{ apiKey: [] }, { adminKey: [] }, { issuerToken: [] }],
  ...(operation.params === undefined && operation.query === undefined ? {} : { parameters: parameters(operation) }),
  ...(operation.body === undefined
    ? {}
    : {
        requestBody: {
          required: operation.bodyOptional !== true,
          content:
            operation.body === "bytes"
              ? { "application/octet-stream": { schema: { type: "string" } } }
              : { "application/json": { schema: reference(operation.body, "input", named) } },
        },
      }),
  responses: {
    ...Object.fromEntries(
      Object.entries(operation.answers).map(([status, media]) => [
        status,
        {
          description: status === "101" ? "The connection becomes a WebSocket." : operation.summary,
          ...(Object.keys(media).length === 0 ? {} : { content: content(media, named) }),
        },
      ]),
    ),
    ...failures(operation),
  },
});

const tagDescriptions: Readonly<Record<string, string>> = {
  events: "What happens, as it happens.",
  files: "Files inside a sandbox.",
  metrics: "Numbers for monitoring.",
  ports: "Programs in a sandbox that listen.",
  processes: "Commands that live on without a connection, and their terminals.",
  providers: "What makes and ends sandboxes.",
  quotas: "Limits of single owners.",
  sandboxes: "Sandboxes, and commands in them.",
  session: "Who asks, and logins of browsers.",
  system: "The server itself.",
  templates: "Named settings to spawn from.",
  workers: "Machines that hold sandboxes.",
};

/** The OpenAPI 3.1 document of a table. */
export const openApiDocument = (operations: readonly Operation[], version: string): Record<string, unknown> => {
  const named = new Map<string, JsonSchema>();
  reference(ErrorBody, "output", named);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method.toLowerCase()]: describe(operation, named),
    };
  }
  const tags = [...new Set(operations.map(({ id }) => id.split(".", 1)[0] ?? ""))].sort();
  return {
    openapi: "3.1.0",
    info: {
      title: "StacyVM",
      version,
      description: "Self-hosted control plane for disposable sandboxes.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "The server that this document came from." }],
    tags: tags.map((name) => ({ name, description: tagDescriptions[name] ?? name })),
    paths,
    components: {
      schemas: Object.fromEntries([...named].sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
        adminKey: { type: "apiKey", in: "header", name: "X-Admin-API-Key" },
        issuerToken: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
      },
    },
  };
};
