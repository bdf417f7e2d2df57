import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { status, text } from "../wire.ts";
import { guestErrors, sandboxParams } from "./sandboxes.ts";

/** Linux takes 4095 bytes; the sandbox's agent checks that exactly. */
export const filePath = text(4096);
const path = filePath;
const depth = z
  .int("must be a whole number")
  .min(1, "must be 1 or more")
  .max(64, "must be 64 or less")
  .optional()
  .meta({ description: "Levels to list; 1, the directory's own entries, where absent." });
const mode = text(16).meta({ description: "Octal digits, for example 0644." });

export const FileInfo = z
  .strictObject({
    path: z.string(),
    size: z.int(),
    mode: z.string().regex(/^[0-7]{4}$/),
    is_dir: z.boolean(),
    mod_time: z.iso.datetime(),
  })
  .meta({ id: "FileInfo" });
export type FileInfo = z.output<typeof FileInfo>;

export const WriteFileRequest = z
  .object({ path: path.optional(), content: z.string().optional(), mode: mode.optional() })
  .meta({ id: "WriteFileRequest" });

export const MoveFileRequest = z
  .object({ old_path: path.optional(), new_path: path.optional() })
  .meta({ id: "MoveFileRequest" });

export const ChmodFileRequest = z
  .object({ path: path.optional(), mode: mode.optional() })
  .meta({ id: "ChmodFileRequest" });

/** What any operation on a path may fail with. */
export const fileErrors = [
  ...guestErrors,
  "path_required",
  "file_not_found",
  "file_permission_denied",
  "not_a_file",
  "not_a_directory",
] as const;

const row = { params: sandboxParams, lenient: true } as const;
const pathQuery = z.object({ path: path.optional() });

export const readFile = defineOperation({
  ...row,
  id: "files.read",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/files",
  summary: "Read a file's bytes; takes Range and If-None-Match",
  permission: "file:read",
  auditClass: "read",
  auditFields: { id: "public", path: "sensitive" },
  errors: [...fileErrors, "range_not_satisfiable", "precondition_failed"],
  stream: "bytes",
  untrusted: true,
  query: pathQuery,
  answers: { 200: { "application/octet-stream": "bytes" }, 206: { "application/octet-stream": "bytes" }, 304: {} },
});

export const headFile = defineOperation({
  ...row,
  id: "files.head",
  method: "HEAD",
  path: "/api/v1/sandboxes/{id}/files",
  summary: "Size and ETag of a file, without its bytes",
  permission: "file:read",
  auditClass: "read",
  auditFields: { id: "public", path: "sensitive" },
  errors: [...fileErrors, "range_not_satisfiable", "precondition_failed"],
  stream: "none",
  untrusted: true,
  query: pathQuery,
  answers: { 200: {}, 206: {}, 304: {} },
});

export const writeFile = defineOperation({
  ...row,
  id: "files.write",
  method: "POST",
  path: "/api/v1/sandboxes/{id}/files",
  summary: "Write a text file; parents are made",
  permission: "file:write",
  auditClass: "write",
  auditFields: { id: "public", path: "sensitive", mode: "public" },
  errors: [...fileErrors, "disk_full"],
  stream: "none",
  body: WriteFileRequest,
  bodyBytesMax: 32 * 1_048_576,
  answers: { 200: json(status("written")) },
});

export const uploadFile = defineOperation({
  id: "files.upload",
  method: "PUT",
  path: "/api/v1/sandboxes/{id}/files",
  summary: "Write a file from the request's raw bytes; it appears whole or not at all",
  permission: "file:write",
  auditClass: "write",
  auditFields: { id: "public", path: "sensitive", mode: "public" },
  errors: [...fileErrors, "disk_full"],
  stream: "none",
  params: sandboxParams,
  query: z.strictObject({ path: path.optional(), mode: mode.optional() }),
  body: "bytes",
  answers: { 200: json(status("written")) },
});

export const deleteFile = defineOperation({
  ...row,
  id: "files.delete",
  method: "DELETE",
  path: "/api/v1/sandboxes/{id}/files",
  summary: "Delete a file, or with recursive a directory",
  permission: "file:write",
  auditClass: "write",
  auditFields: { id: "public", path: "sensitive", recursive: "public" },
  errors: [...fileErrors, "directory_needs_recursive"],
  stream: "none",
  query: z.object({ path: path.optional(), recursive: z.boolean().optional() }),
  answers: { 200: json(status("deleted")) },
});

export const listFiles = defineOperation({
  ...row,
  id: "files.list",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/files/list",
  summary: "List one directory, or with depth those below it too",
  permission: "file:read",
  auditClass: "read",
  auditFields: { id: "public", path: "sensitive", depth: "public" },
  errors: fileErrors,
  stream: "none",
  untrusted: true,
  query: pathQuery.extend({ depth }),
  answers: { 200: json(z.array(FileInfo)) },
});

export const moveFile = defineOperation({
  ...row,
  id: "files.move",
  method: "POST",
  path: "/api/v1/sandboxes/{id}/files/move",
  summary: "Move or rename a path",
  permission: "file:write",
  auditClass: "write",
  auditFields: { id: "public", old_path: "sensitive", new_path: "sensitive" },
  errors: [...fileErrors, "already_exists", "disk_full"],
  stream: "none",
  body: MoveFileRequest,
  answers: { 200: json(status("moved")) },
});

export const chmodFile = defineOperation({
  ...row,
  id: "files.chmod",
  method: "POST",
  path: "/api/v1/sandboxes/{id}/files/chmod",
  summary: "Change the permission bits of a path",
  permission: "file:write",
  auditClass: "write",
  auditFields: { id: "public", path: "sensitive", mode: "public" },
  errors: fileErrors,
  stream: "none",
  body: ChmodFileRequest,
  answers: { 200: json(status("chmod applied")) },
});

export const statFile = defineOperation({
  ...row,
  id: "files.stat",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/files/stat",
  summary: "Size, mode and time of a path",
  permission: "file:read",
  auditClass: "read",
  auditFields: { id: "public", path: "sensitive" },
  errors: fileErrors,
  stream: "none",
  untrusted: true,
  query: pathQuery,
  answers: { 200: json(FileInfo) },
});

export const globFiles = defineOperation({
  ...row,
  id: "files.glob",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/files/glob",
  summary: "Find paths by a pattern; ** crosses directories",
  permission: "file:read",
  auditClass: "read",
  auditFields: { id: "public", pattern: "sensitive" },
  errors: fileErrors,
  stream: "none",
  untrusted: true,
  query: z.object({ pattern: path.optional() }),
  answers: { 200: json(z.array(z.string())) },
});

export const fileOperations = [
  readFile,
  headFile,
  writeFile,
  uploadFile,
  deleteFile,
  listFiles,
  moveFile,
  chmodFile,
  statFile,
  globFiles,
] as const;
