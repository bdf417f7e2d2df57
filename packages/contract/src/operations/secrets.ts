import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { text, timestamp } from "../wire.ts";
import { envNamePattern } from "./sandbox-spec.ts";

/** Longest name, characters; longest value, bytes of UTF-8. */
const nameMax = 128;
const valueBytesMax = 32_768;
/** Most hosts, and owners, of one secret; longest host with its port, and owner, characters. */
const secretHostsMax = 16;
const hostLengthMax = 260;
const ownersMax = 64;
const ownerLengthMax = 128;

/** It is a variable's name in a sandbox. */
const name = text(nameMax)
  .regex(envNamePattern, "must be letters, digits and _, and not begin with a digit")
  .meta({ description: "Letters, digits and `_`, no digit first: the variable that stands for it in a sandbox." });

/** One complaint at a time, the likeliest first; none quotes the value. */
const value = z.string().check((context) => {
  const why = valueProblem(context.value);
  if (why !== undefined) context.issues.push({ code: "custom", message: why, input: "" });
});

function valueProblem(given: string): string | undefined {
  if (given === "") return "is required";
  if (/[\r\n]$/.test(given)) return "ends in a newline, which no header can carry: leave the newline out";
  if (/[\r\n]/.test(given)) return "has more than one line, and no header can carry that";
  if (/\p{Cc}/u.test(given)) return "has a control character, which no header can carry";
  if (!given.isWellFormed()) return "is no text: it has half of a surrogate pair";
  if (new TextEncoder().encode(given).length > valueBytesMax) return `must be ${valueBytesMax} bytes or fewer`;
  return undefined;
}

export const StoredSecret = z
  .strictObject({
    name: z.string(),
    version: z.int().meta({ description: "From 1; counts up each time that a value is set." }),
    hosts: z.array(z.string()).meta({ description: "`host:port`; it is sent to no other." }),
    owners: z.array(z.string()).meta({ description: "Whose sandboxes may use it; empty: everybody's." }),
    created_by: z.string(),
    created_at: timestamp,
    updated_at: timestamp.meta({ description: "When this version was set." }),
    last_used_at: timestamp.optional().meta({ description: "Absent before the first use." }),
  })
  .meta({ id: "StoredSecret" });
export type StoredSecret = z.output<typeof StoredSecret>;

export const SecretRequest = z
  .strictObject({
    value: value.meta({
      description: `1 to ${valueBytesMax} bytes of one line. It is kept encrypted, and answered to nobody.`,
    }),
    hosts: z
      .array(text(hostLengthMax))
      .min(1, "must name the hosts that it may be sent to")
      .max(secretHostsMax, `must have ${secretHostsMax} items or fewer`)
      .meta({ description: "`host` or `host:port` (443 where none is written), exact names: it is sent to no other." }),
    owners: z
      .array(text(ownerLengthMax).min(1, "must not be empty"))
      .max(ownersMax, `must have ${ownersMax} items or fewer`)
      .optional()
      .meta({ description: "Whose sandboxes may use it; absent or empty: everybody's of the tenant or project." }),
  })
  .meta({ id: "SecretRequest" });

const params = z.strictObject({ name });

export const secretOperations = [
  defineOperation({
    permission: "secret:read",
    auditClass: "read",
    stream: "none",
    id: "secrets.list",
    method: "GET",
    path: "/api/v1/secrets",
    summary: "List the secrets of the own place by name, never their values",
    errors: [],
    answers: { 200: json(z.strictObject({ secrets: z.array(StoredSecret) })) },
  }),
  defineOperation({
    permission: "secret:write",
    auditClass: "write",
    stream: "none",
    id: "secrets.save",
    method: "PUT",
    path: "/api/v1/secrets/{name}",
    summary: "Set a secret, or its next version; hosts and owners are set as a whole too",
    auditFields: { name: "public", hosts: "public", owners: "public", value: "secret" },
    errors: ["secrets_key_missing", "too_many_secrets", "state_conflict"],
    params,
    body: SecretRequest,
    answers: { 200: json(z.strictObject({ secret: StoredSecret })) },
  }),
  defineOperation({
    permission: "secret:write",
    auditClass: "write",
    stream: "none",
    id: "secrets.delete",
    method: "DELETE",
    path: "/api/v1/secrets/{name}",
    summary: "Delete a secret: no request carries it any more",
    auditFields: { name: "public" },
    errors: ["secret_not_found"],
    params,
    answers: { 204: {} },
  }),
  defineOperation({
    permission: "secret:admin",
    auditClass: "admin",
    stream: "none",
    id: "secrets.rotate",
    method: "POST",
    path: "/api/v1/secrets/rotate",
    summary: "Encrypt everything anew that isn't under the server's current key",
    errors: ["secrets_key_missing"],
    answers: {
      200: json(
        z.strictObject({
          resealed: z.int().meta({ description: "How many are under the current key now that were not." }),
          kept: z
            .int()
            .meta({ description: "How many no key of the server opens; they stay, and the log names them." }),
        }),
      ),
    },
  }),
] as const;
