import { z } from "zod";
import { defineOperation, defineSignedOperation, json } from "../operation.ts";
import { durationText, oneOf, status, text, timestamp } from "../wire.ts";
import { fileErrors, filePath } from "./files.ts";
import { sandboxParams } from "./sandboxes.ts";

export const SignFileRequest = z
  .strictObject({
    operation: oneOf(["read", "write"]),
    path: filePath.min(1, "is required"),
    expires_in: durationText
      .optional()
      .meta({ description: "Go duration from 1s to 168h0m0s; 1h0m0s where absent. The sandbox's end ends the link." }),
  })
  .meta({ id: "SignFileRequest" });
export type SignFileRequest = z.output<typeof SignFileRequest>;

export const FileLink = z
  .strictObject({
    url: z.string().meta({ description: "Below server.public_url; a path on this server where that is not set." }),
    expires_at: timestamp,
  })
  .meta({ id: "FileLink" });
export type FileLink = z.output<typeof FileLink>;

const sandboxErrors = ["sandbox_not_found", "sandbox_destroyed", "state_conflict"] as const;

export const signFile = defineOperation({
  id: "files.sign",
  method: "POST",
  path: "/api/v1/sandboxes/{id}/files/sign",
  summary: "Make a link that reads or writes one file without a key until it expires",
  permission: "file:write",
  auditClass: "write",
  auditFields: { id: "public", operation: "public", path: "sensitive", expires_in: "public" },
  errors: sandboxErrors,
  stream: "none",
  params: sandboxParams,
  body: SignFileRequest,
  answers: { 201: json(FileLink) },
});

export const revokeFileLinks = defineOperation({
  id: "files.revokeLinks",
  method: "DELETE",
  path: "/api/v1/sandboxes/{id}/files/sign",
  summary: "Make every link of the sandbox worthless",
  permission: "file:write",
  auditClass: "write",
  auditFields: { id: "public" },
  errors: sandboxErrors,
  stream: "none",
  params: sandboxParams,
  answers: { 200: json(status("revoked")) },
});

const signed = {
  path: "/api/v1/sandboxes/{id}/files/signed",
  auditFields: { id: "public", path: "sensitive", expires: "public", signature: "secret" },
  params: sandboxParams,
  query: z.strictObject({
    path: text(4096).optional(),
    expires: text(16).optional().meta({ description: "Seconds since 1970." }),
    signature: text(128).optional(),
  }),
} as const;
const signedErrors = [...fileErrors, "link_refused"] as const;
const readErrors = [...signedErrors, "range_not_satisfiable", "precondition_failed"] as const;

export const readSignedFile = defineSignedOperation({
  ...signed,
  id: "files.readSigned",
  method: "GET",
  summary: "Read the file that the link is for",
  auditClass: "read",
  errors: readErrors,
  stream: "bytes",
  untrusted: true,
  answers: { 200: { "application/octet-stream": "bytes" }, 206: { "application/octet-stream": "bytes" }, 304: {} },
});

export const headSignedFile = defineSignedOperation({
  ...signed,
  id: "files.headSigned",
  method: "HEAD",
  summary: "Size and ETag of the file that the link is for",
  auditClass: "read",
  errors: readErrors,
  stream: "none",
  untrusted: true,
  answers: { 200: {}, 206: {}, 304: {} },
});

export const writeSignedFile = defineSignedOperation({
  ...signed,
  id: "files.writeSigned",
  method: "PUT",
  summary: "Write the file that the link is for from the request's raw bytes; it appears whole or not at all",
  auditClass: "write",
  errors: [...signedErrors, "disk_full"],
  stream: "none",
  body: "bytes",
  answers: { 200: json(status("written")) },
});

export const fileLinkOperations = [signFile, revokeFileLinks, readSignedFile, headSignedFile, writeSignedFile] as const;
