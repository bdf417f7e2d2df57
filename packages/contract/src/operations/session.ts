import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { oneOf, text, timestamp } from "../wire.ts";

const Caller = z
  .strictObject({
    role: oneOf(["anonymous", "viewer", "api", "operator", "tenant_admin", "admin"]),
    by: z.enum(["session", "key", "token"]).meta({ description: "What the request was let in by." }),
    owner_id: z.string().optional(),
    tenant_id: z.string().optional(),
    expires_at: timestamp
      .optional()
      .meta({ description: "When the credential or session ends; absent: not known to." }),
  })
  .meta({ id: "Caller" });
export type Caller = z.output<typeof Caller>;

export const SessionState = z
  .strictObject({
    credential_needed: z.boolean(),
    key_login: z.boolean().meta({ description: "A key, or an issuer's token, begins a browser session by POST." }),
    issuer_login_url: z
      .string()
      .optional()
      .meta({ description: "Where a browser goes to log in with the issuer; absent where it can't." }),
    program_login: z
      .strictObject({
        issuer: z.string(),
        client_id: z.string(),
        scopes: z.array(z.string()),
        parameters: z.record(z.string(), z.string()),
      })
      .optional()
      .meta({
        description: "How a program on a user's machine asks the issuer for a token: authorization code with PKCE.",
      }),
    caller: Caller.optional().meta({ description: "Absent without a credential that counts." }),
  })
  .meta({ id: "SessionState" });

export const sessionOperations = [
  defineOperation({
    id: "session.read",
    method: "GET",
    path: "/api/v1/session",
    summary: "Tell who asks, and how one logs in here",
    permission: "public",
    auditClass: "none",
    errors: [],
    stream: "none",
    lenient: true,
    answers: { 200: json(SessionState) },
  }),
  defineOperation({
    id: "session.create",
    method: "POST",
    path: "/api/v1/session",
    summary: "Begin a browser session with the key or token that comes along",
    permission: "session:own",
    auditClass: "write",
    errors: ["credentials_not_configured", "login_not_offered"],
    stream: "none",
    answers: { 201: json(Caller) },
  }),
  defineOperation({
    id: "session.end",
    method: "DELETE",
    path: "/api/v1/session",
    summary: "End the browser session whose cookie comes along",
    permission: "session:own",
    auditClass: "write",
    errors: ["session_not_found"],
    stream: "none",
    answers: { 204: {} },
  }),
  defineOperation({
    id: "session.authorize",
    method: "GET",
    path: "/api/v1/session/authorize",
    summary: "Send a browser to the issuer to log in",
    permission: "public",
    auditClass: "none",
    auditFields: { return_to: "public" },
    errors: ["credentials_not_configured", "login_not_offered"],
    stream: "none",
    query: z.strictObject({
      return_to: text(512).optional().meta({ description: "Path of this server to come back to; / where absent." }),
    }),
    answers: { 302: {} },
  }),
  defineOperation({
    id: "session.callback",
    method: "GET",
    path: "/api/v1/session/callback",
    summary: "Take a browser back from the issuer, and begin its session",
    permission: "public",
    auditClass: "write",
    errors: ["credentials_not_configured", "login_not_offered", "login_failed"],
    stream: "none",
    lenient: true,
    answers: { 302: {} },
  }),
] as const;
