import { type FileInfo, type fileOperations, StacyError } from "@stacyvm/contract";
import type { FileContent, FileEntry } from "../../guest/guest.ts";
import { type FileTarget, parseFileMode } from "../../orchestrator/files.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { HandlersOf, OperationRequest } from "../handler.ts";
import { attachment } from "../served-content.ts";
import { callerOf } from "./caller.ts";
import { rfc3339Seconds } from "./wire-time.ts";

const wireFile = (entry: FileEntry): FileInfo => ({
  path: entry.path,
  size: entry.sizeBytes,
  mode: entry.mode.toString(8).padStart(4, "0"),
  is_dir: entry.type === "directory",
  mod_time: rfc3339Seconds(entry.modifiedAtMs),
});

const given = (value: string | undefined, message: string): string => {
  if (value === undefined || value.trim() === "") throw new StacyError("path_required", message);
  return value;
};

export const queryPath = (value: string | undefined) => given(value, "path query parameter required");
export const bodyPath = (value: string | undefined, name = "path") =>
  given(value, `invalid input: ${name} is required`);

type Request = Pick<OperationRequest, "identity" | "signal"> & { readonly params: { readonly id: string } };
export const targetOf = ({ params, identity, signal }: Request): FileTarget => ({
  id: params.id,
  caller: callerOf(identity),
  signal,
});

const single = (value: string | string[] | undefined) => (typeof value === "string" ? value : undefined);

export const readOptions = (headers: OperationRequest["headers"], method: "GET" | "HEAD") => {
  const range = single(headers.range);
  const ifNoneMatch = single(headers["if-none-match"]);
  return {
    method,
    ...(range === undefined ? {} : { range }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
  };
};

const contentHeaders = (content: FileContent, path: string): Record<string, string> => ({
  "Content-Disposition": attachment(path),
  "Accept-Ranges": "bytes",
  ...(content.sizeBytes === undefined ? {} : { "Content-Length": String(content.sizeBytes) }),
  ...(content.etag === undefined ? {} : { ETag: content.etag }),
  ...(content.contentRange === undefined ? {} : { "Content-Range": content.contentRange }),
  ...(content.modifiedAt === undefined ? {} : { "Last-Modified": content.modifiedAt }),
});

/** Status of the agent's answer in our terms; anything but content or "not modified" is an error. */
const servedStatus = (content: FileContent): 200 | 206 | 304 => {
  if (content.status === 200 || content.status === 206 || content.status === 304) return content.status;
  content.body.discard();
  throw new StacyError("range_not_satisfiable", "the range lies outside the file", {
    details: { content_range: content.contentRange },
  });
};

export const contentAnswer = (content: FileContent, path: string) => {
  const status = servedStatus(content);
  const headers = contentHeaders(content, path);
  if (status === 304) {
    content.body.discard();
    return { status, headers } as const;
  }
  return { status, headers, contentType: "application/octet-stream", stream: content.body } as const;
};

export const contentHead = (content: FileContent, path: string) => {
  content.body.discard();
  return { status: servedStatus(content), headers: contentHeaders(content, path) };
};

export const fileHandlers = ({ useCases }: { readonly useCases: UseCases }): HandlersOf<typeof fileOperations> => {
  const { files } = useCases;
  return {
    "files.read": async (request) => {
      const path = queryPath(request.query.path);
      return contentAnswer(await files.read(targetOf(request), path, readOptions(request.headers, "GET")), path);
    },
    "files.head": async (request) => {
      const path = queryPath(request.query.path);
      return contentHead(await files.read(targetOf(request), path, readOptions(request.headers, "HEAD")), path);
    },
    "files.write": async (request) => {
      const { path, content, mode } = request.body;
      const bytes = Buffer.from(content ?? "");
      await files.write(targetOf(request), bodyPath(path), bytes, parseFileMode(mode));
      return { status: 200, body: { status: "written" } };
    },
    "files.upload": async (request) => {
      const path = queryPath(request.query.path);
      await files.write(targetOf(request), path, request.body, parseFileMode(request.query.mode));
      return { status: 200, body: { status: "written" } };
    },
    "files.delete": async (request) => {
      await files.remove(targetOf(request), queryPath(request.query.path), request.query.recursive === true);
      return { status: 200, body: { status: "deleted" } };
    },
    "files.list": async (request) => {
      const path = request.query.path === undefined || request.query.path === "" ? "/" : request.query.path;
      return { status: 200, body: (await files.list(targetOf(request), path, request.query.depth)).map(wireFile) };
    },
    "files.move": async (request) => {
      const { old_path: from, new_path: to } = request.body;
      await files.move(targetOf(request), bodyPath(from, "old_path"), bodyPath(to, "new_path"));
      return { status: 200, body: { status: "moved" } };
    },
    "files.chmod": async (request) => {
      const { path, mode } = request.body;
      if (mode === undefined || mode === "") throw new StacyError("invalid_input", "invalid input: mode is required");
      await files.chmod(targetOf(request), bodyPath(path), parseFileMode(mode));
      return { status: 200, body: { status: "chmod applied" } };
    },
    "files.stat": async (request) => ({
      status: 200,
      body: wireFile(await files.stat(targetOf(request), queryPath(request.query.path))),
    }),
    "files.glob": async (request) => {
      const pattern = given(request.query.pattern, "pattern query parameter required");
      return { status: 200, body: [...(await files.glob(targetOf(request), pattern))] };
    },
  };
};
