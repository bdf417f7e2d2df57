import { z } from "zod";
import { defineOperation } from "../operation.ts";
import { oneOf } from "../wire.ts";
import { fileErrors, filePath } from "./files.ts";
import { sandboxParams } from "./sandboxes.ts";

/** Which other keys there are follows from `type`. */
export const FolderEvent = z
  .strictObject({
    type: z
      .enum(["live", "created", "written", "removed", "renamed", "mode_changed", "overflow", "gone"])
      .meta({ description: "live: first; what follows is told. overflow (changes were lost) and gone are the last." }),
    path: z.string().optional().meta({ description: "Absolute. Of a rename the old one; the new one is created." }),
  })
  .meta({ id: "FolderEvent" });
export type FolderEvent = z.output<typeof FolderEvent>;

export const watchFiles = defineOperation({
  id: "files.watch",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/files/watch",
  summary: "Follow the changes in a folder, as server-sent events",
  permission: "file:read",
  auditClass: "read",
  auditFields: { id: "public", path: "sensitive", recursive: "public" },
  errors: fileErrors,
  stream: "sse",
  untrusted: true,
  params: sandboxParams,
  query: z.strictObject({
    path: filePath.optional(),
    recursive: oneOf(["true", "false"]).optional().meta({ description: "Watches the folders below it too." }),
  }),
  answers: { 200: { "text/event-stream": FolderEvent } },
});

export const fileWatchOperations = [watchFiles] as const;
