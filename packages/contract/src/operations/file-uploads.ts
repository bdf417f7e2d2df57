import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { status, text, timestamp } from "../wire.ts";
import { filePath } from "./files.ts";
import { guestErrors, sandboxParams } from "./sandboxes.ts";

const offset = z.int("must be a whole number").min(0, "cannot be negative");

export const Upload = z
  .strictObject({
    upload_id: z.string(),
    offset: z.int().meta({ description: "Bytes that have arrived; where the next ones go." }),
    size: z.int().optional().meta({ description: "As announced; absent where it wasn't." }),
    expires_at: timestamp.meta({ description: "RFC 3339; every request that brings bytes moves it." }),
  })
  .meta({ id: "Upload" });
export type Upload = z.output<typeof Upload>;

const uploadErrors = [...guestErrors, "upload_not_found"] as const;

const uploads = "/api/v1/sandboxes/{id}/files/uploads";
const one = {
  path: `${uploads}/{upload}`,
  params: z.strictObject({ ...sandboxParams.shape, upload: text(64).min(1) }),
  stream: "none",
} as const;
const named = { id: "public", upload: "public" } as const;

export const beginUpload = defineOperation({
  id: "files.beginUpload",
  method: "POST",
  path: uploads,
  summary: "Begin a file that arrives in pieces; it lives in the sandbox, over a restart of the server",
  permission: "file:write",
  auditClass: "write",
  auditFields: { id: "public", path: "sensitive", mode: "public", size: "public" },
  errors: [...guestErrors, "file_not_found", "file_permission_denied", "disk_full"],
  stream: "none",
  params: sandboxParams,
  body: z
    .strictObject({
      path: filePath.min(1, "must not be empty"),
      mode: text(16).optional().meta({ description: "Octal digits, for example 0644." }),
      size: offset
        .optional()
        .meta({ description: "Bytes that will come; more are refused, and so is a commit before." }),
    })
    .meta({ id: "BeginUploadRequest" }),
  answers: { 201: json(Upload) },
});

export const appendUpload = defineOperation({
  ...one,
  id: "files.appendUpload",
  method: "PATCH",
  summary: "Add the request's raw bytes at the offset; what arrived before a failure stays",
  permission: "file:write",
  auditClass: "write",
  auditFields: { ...named, offset: "public" },
  errors: [...uploadErrors, "upload_conflict", "disk_full", "file_permission_denied"],
  query: z.strictObject({
    offset: offset.optional().meta({ description: "The present offset; the header Upload-Offset says the same." }),
  }),
  body: "bytes",
  answers: { 200: json(Upload) },
});

export const getUpload = defineOperation({
  ...one,
  id: "files.getUpload",
  method: "GET",
  summary: "How much of an upload has arrived, which is where to go on",
  permission: "file:write",
  auditClass: "none",
  errors: uploadErrors,
  answers: { 200: json(Upload) },
});

export const headUpload = defineOperation({
  ...one,
  id: "files.headUpload",
  method: "HEAD",
  summary: "How much of an upload has arrived, in the header Upload-Offset",
  permission: "file:write",
  auditClass: "none",
  errors: uploadErrors,
  answers: { 200: {} },
});

export const commitUpload = defineOperation({
  ...one,
  id: "files.commitUpload",
  method: "POST",
  path: `${uploads}/{upload}/commit`,
  summary: "Put an upload under its name, whole; where that fails nothing changes",
  permission: "file:write",
  auditClass: "write",
  auditFields: { ...named, checksum: "public" },
  errors: [
    ...uploadErrors,
    "upload_conflict",
    "checksum_mismatch",
    "file_not_found",
    "file_permission_denied",
    "disk_full",
  ],
  body: z
    .strictObject({
      checksum: z
        .string()
        .regex(/^sha256:[0-9a-f]{64}$/, "must be sha256: and 64 hex digits in lower case")
        .optional()
        .meta({ description: "Of the whole file; compared where it is given." }),
    })
    .meta({ id: "CommitUploadRequest" }),
  bodyOptional: true,
  answers: { 200: json(z.strictObject({ status: z.literal("written"), size: z.int(), checksum: z.string() })) },
});

export const abortUpload = defineOperation({
  ...one,
  id: "files.abortUpload",
  method: "DELETE",
  summary: "Give up an upload and remove its bytes",
  permission: "file:write",
  auditClass: "write",
  auditFields: named,
  errors: [...uploadErrors, "upload_conflict"],
  answers: { 200: json(status("aborted")) },
});

export const fileUploadOperations = [
  beginUpload,
  appendUpload,
  getUpload,
  headUpload,
  commitUpload,
  abortUpload,
] as const;
