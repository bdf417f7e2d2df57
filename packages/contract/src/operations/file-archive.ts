import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { oneOf, text } from "../wire.ts";
import { fileErrors, filePath } from "./files.ts";
import { sandboxParams } from "./sandboxes.ts";

const compression = oneOf(["none", "gzip", "zstd"]).optional().meta({ description: "Of the tar; none where absent." });
const archiveQuery = z.strictObject({ path: filePath.optional(), compression });
const archiveFields = { id: "public", path: "sensitive", compression: "public" } as const;

export const MakeFolderRequest = z
  .strictObject({
    path: filePath,
    mode: text(16)
      .regex(/^0?[0-7]{3,4}$/, "must be three or four octal digits, for example 0755")
      .optional()
      .meta({ description: "Octal digits of a directory that is made; 0755 where absent." }),
    parents: z.boolean().optional().meta({ description: "Makes missing parents too." }),
  })
  .meta({ id: "MakeFolderRequest" });
export type MakeFolderRequest = z.output<typeof MakeFolderRequest>;

export const UnpackedArchive = z
  .strictObject({
    status: z.literal("unpacked"),
    entries: z.int().meta({ description: "Files, directories and links that were written." }),
    bytes: z.int().meta({ description: "Content of the files." }),
  })
  .meta({ id: "UnpackedArchive" });
export type UnpackedArchive = z.output<typeof UnpackedArchive>;

export const MadeFolder = z
  .strictObject({
    status: z.literal("made"),
    created: z.boolean().meta({ description: "false: the directory was there already and is left as it was." }),
  })
  .meta({ id: "MadeFolder" });
export type MadeFolder = z.output<typeof MadeFolder>;

export const readArchive = defineOperation({
  id: "files.readArchive",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/files/archive",
  summary: "Read a folder, or a file, as a tar stream",
  permission: "file:read",
  auditClass: "read",
  auditFields: archiveFields,
  errors: fileErrors,
  stream: "bytes",
  untrusted: true,
  params: sandboxParams,
  query: archiveQuery,
  answers: {
    200: { "application/x-tar": "bytes", "application/gzip": "bytes", "application/zstd": "bytes" },
  },
});

export const writeArchive = defineOperation({
  id: "files.writeArchive",
  method: "PUT",
  path: "/api/v1/sandboxes/{id}/files/archive",
  summary: "Unpack a tar stream into a folder; each file appears whole or not at all",
  permission: "file:write",
  auditClass: "write",
  auditFields: archiveFields,
  errors: [...fileErrors, "archive_invalid", "disk_full"],
  stream: "none",
  params: sandboxParams,
  query: archiveQuery,
  body: "bytes",
  answers: { 200: json(UnpackedArchive) },
});

export const makeFolder = defineOperation({
  id: "files.mkdir",
  method: "POST",
  path: "/api/v1/sandboxes/{id}/files/mkdir",
  summary: "Make a directory; one that is there already is left as it is",
  permission: "file:write",
  auditClass: "write",
  auditFields: { id: "public", path: "sensitive", mode: "public", parents: "public" },
  errors: [...fileErrors, "already_exists", "disk_full"],
  stream: "none",
  params: sandboxParams,
  body: MakeFolderRequest,
  answers: { 200: json(MadeFolder) },
});

export const folderOperations = [readArchive, writeArchive, makeFolder] as const;
