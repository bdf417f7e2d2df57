import type { z } from "zod";
import type { ErrorReason } from "./errors.ts";

/**
 * What a caller must be allowed to do. `public` needs no credential, and `signature` none but the one in the address,
 * which the use case checks; everything else is denied unless a role grants it.
 */
export const permissions = [
  "public",
  "signature",
  "sandbox:read",
  "sandbox:write",
  "sandbox:exec",
  "port:connect",
  "file:read",
  "file:write",
  "template:read",
  "template:write",
  "quota:read",
  "quota:write",
  "provider:read",
  "worker:read",
  "worker:admin",
  "key:own",
  "key:admin",
  "session:own",
  "secret:read",
  "secret:write",
  "secret:admin",
  "tenant:read",
  "tenant:write",
  "tenant:admin",
  "config:admin",
  "snapshot:read",
  "pool:read",
  "event:read",
  "metrics:read",
  "system:read",
] as const;
export type Permission = (typeof permissions)[number];

/** How much of an operation an audit keeps: nothing, that it was read, what it changed, or what an administrator did. */
export type AuditClass = "none" | "read" | "write" | "admin";

/** `secret` is never recorded, `sensitive` only where the operator asked for it. A field without a class is secret. */
export type FieldClass = "public" | "sensitive" | "secret";

/** How an answer travels when it is not one JSON document; through a `proxy` it is whatever an app says. */
export type StreamKind = "none" | "ndjson" | "sse" | "websocket" | "bytes" | "proxy";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Content that has no schema: octets, or text. */
export type Unstructured = "bytes" | "text";

/** Media type to schema; `{}` is an answer without a body. */
export type Content = Readonly<Record<string, z.ZodType | Unstructured>>;

export type Answers = Readonly<Record<number, Content>>;

/** A JSON body is a schema; `bytes` hands the request's stream to the handler. */
export type Body = z.ZodType | "bytes" | undefined;

export interface Operation<
  Id extends string = string,
  Params extends z.ZodObject | undefined = z.ZodObject | undefined,
  Query extends z.ZodObject | undefined = z.ZodObject | undefined,
  RequestBody extends Body = Body,
  Replies extends Answers = Answers,
> {
  /** `noun.verb`, unique. */
  readonly id: Id;
  readonly method: Method;
  /** OpenAPI style, for example `/api/v1/sandboxes/{id}`. */
  readonly path: string;
  /** One line, shown in the reference and in the command line's help. */
  readonly summary: string;
  readonly permission: Permission;
  readonly auditClass: AuditClass;
  /** Names of params, query and body fields; those that are not named are secret. */
  readonly auditFields?: Readonly<Record<string, FieldClass>>;
  /** Reasons of its own; those in `commonErrors` may come from every operation. */
  readonly errors: readonly ErrorReason[];
  readonly stream: StreamKind;
  /**
   * Decodes as older servers did: keys in any case, unknown keys dropped, null as absent, any Content-Type, text after
   * the first JSON value ignored. Without it unknown and repeated keys are refused.
   */
  readonly lenient?: true;
  /** An Idempotency-Key header makes doing it twice doing it once. */
  readonly idempotencyKey?: true;
  /** The path with a slash at its end is the same operation. */
  readonly trailingSlash?: true;
  /** The answer may take as long as a process lives: a shutdown ends it at once. Event streams are so anyway. */
  readonly endless?: true;
  /** The answer carries what a sandbox wrote: served as an attachment, so that no browser renders it as our origin. */
  readonly untrusted?: true;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: RequestBody;
  /** An empty request body counts as `{}`. */
  readonly bodyOptional?: true;
  /** Largest JSON body in bytes; the server's default where absent. */
  readonly bodyBytesMax?: number;
  readonly answers: Replies;
}

/** One row of the operation table. Exists for its types: a row without a permission or an audit class doesn't compile. */
export const defineOperation = <
  const Id extends string,
  const Replies extends Answers,
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  RequestBody extends Body = undefined,
>(
  row: Operation<Id, Params, Query, RequestBody, Replies> & { readonly permission: Exclude<Permission, "signature"> },
): Operation<Id, Params, Query, RequestBody, Replies> => row;

/** A row whose requests prove themselves by a signature: its handler is never told who asks, for nobody knows. */
export const defineSignedOperation = <
  const Id extends string,
  const Replies extends Answers,
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  RequestBody extends Body = undefined,
>(
  row: Omit<Operation<Id, Params, Query, RequestBody, Replies>, "permission">,
): Operation<Id, Params, Query, RequestBody, Replies> & { readonly permission: "signature" } => ({
  ...row,
  permission: "signature",
});

/** A row behind which an app in a sandbox answers. The last segment of its path is the rest of the address, or absent. */
export const defineProxyOperation = <
  const Id extends string,
  Params extends z.ZodObject | undefined = undefined,
  RequestBody extends Body = undefined,
>(
  row: Omit<Operation<Id, Params, undefined, RequestBody, { 200: Record<never, never> }>, "answers" | "stream"> & {
    readonly permission: Exclude<Permission, "signature">;
  },
): Operation<Id, Params, undefined, RequestBody, { 200: Record<never, never> }> & { readonly stream: "proxy" } => ({
  ...row,
  answers: { 200: {} },
  stream: "proxy",
});

/** Content of an answer that is one JSON document. */
export const json = <S extends z.ZodType>(schema: S): { readonly "application/json": S } => ({
  "application/json": schema,
});

/** Reasons that the front door or the decoder may give for any operation. */
export const commonErrors = [
  "invalid_body",
  "invalid_input",
  "payload_too_large",
  "headers_too_large",
  "request_timeout",
  "unauthenticated",
  "admin_key_required",
  "permission_denied",
  "tenant_not_found",
  "project_not_found",
  "tenant_ambiguous",
  "rate_limited",
  "foreign_origin",
  "misdirected_host",
  "store_unavailable",
  "issuer_unavailable",
  "shutting_down",
  "internal",
] as const satisfies readonly ErrorReason[];

/** Class of a field for the audit; secret unless the row says otherwise. */
export const auditFieldClass = (operation: Operation, field: string): FieldClass =>
  operation.auditFields !== undefined && Object.hasOwn(operation.auditFields, field)
    ? (operation.auditFields[field] ?? "secret")
    : "secret";

/** Names of the `{…}` segments of a path, in order. */
export const pathParameters = (path: string): readonly string[] =>
  [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name ?? "");
