import type { folderOperations } from "@stacyvm/contract";
import type { ArchiveCompression } from "../../guest/guest-folders.ts";
import { parseFileMode } from "../../orchestrator/files.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { HandlersOf } from "../handler.ts";
import { attachment } from "../served-content.ts";
import { bodyPath, queryPath, targetOf } from "./files.ts";

const forms = {
  none: { contentType: "application/x-tar", ending: ".tar" },
  gzip: { contentType: "application/gzip", ending: ".tar.gz" },
  zstd: { contentType: "application/zstd", ending: ".tar.zst" },
} as const satisfies Record<ArchiveCompression, unknown>;

/** What a browser calls the archive of a path. */
const archiveName = (path: string, ending: string): string => {
  const last = path.split("/").findLast((part) => part !== "" && part !== "." && part !== "..");
  return `${last ?? "files"}${ending}`;
};

export const folderHandlers = ({ useCases }: { readonly useCases: UseCases }): HandlersOf<typeof folderOperations> => {
  const { folders } = useCases;
  return {
    "files.readArchive": async (request) => {
      const path = queryPath(request.query.path);
      const compression = request.query.compression ?? "none";
      const { body, skipped } = await folders.pack(targetOf(request), path, compression);
      const { contentType, ending } = forms[compression];
      return {
        status: 200,
        headers: { "Content-Disposition": attachment(archiveName(path, ending)) },
        contentType,
        stream: body,
        trailers: { "X-Archive-Skipped": () => String(skipped()) },
      };
    },
    "files.writeArchive": async (request) => {
      const { path, compression = "none" } = request.query;
      const unpacked = await folders.unpack(targetOf(request), queryPath(path), request.body, compression);
      return { status: 200, body: { status: "unpacked", ...unpacked } };
    },
    "files.mkdir": async (request) => {
      const { path, mode, parents = false } = request.body;
      const options = { parents, ...(mode === undefined ? {} : { mode: parseFileMode(mode) }) };
      const created = await folders.make(targetOf(request), bodyPath(path), options);
      return { status: 200, body: { status: "made", created } };
    },
  };
};
