import { type fileUploadOperations, StacyError, type Upload } from "@stacyvm/contract";
import { parseFileMode } from "../../orchestrator/files.ts";
import type { KnownUpload, UploadTarget } from "../../orchestrator/uploads.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { HandlersOf, OperationRequest } from "../handler.ts";
import { callerOf } from "./caller.ts";
import { rfc3339 } from "./wire-time.ts";

type Asked = Pick<OperationRequest, "identity" | "signal">;

const sandboxOf = ({ params, identity, signal }: Asked & { readonly params: { readonly id: string } }) => ({
  id: params.id,
  caller: callerOf(identity),
  signal,
});

const uploadOf = (
  request: Asked & { readonly params: { readonly id: string; readonly upload: string } },
): UploadTarget => ({ ...sandboxOf(request), uploadId: request.params.upload });

const wireUpload = ({ uploadId, offset, sizeBytes, expiresAtMs }: KnownUpload): Upload => ({
  upload_id: uploadId,
  offset,
  ...(sizeBytes === undefined ? {} : { size: sizeBytes }),
  expires_at: rfc3339(expiresAtMs),
});

/** Where the bytes go: the query, the header, or both saying the same. */
const offsetOf = (query: number | undefined, header: string | string[] | undefined): number => {
  const refused = (why: string) => new StacyError("invalid_input", `invalid input: ${why}`);
  if (header !== undefined && (typeof header !== "string" || !/^\d{1,15}$/.test(header))) {
    throw refused("Upload-Offset must be a whole number of at most 15 digits");
  }
  const said = header === undefined ? query : Number(header);
  if (said === undefined) throw refused("Upload-Offset is required: the header, or offset in the query");
  if (query !== undefined && query !== said) throw refused("Upload-Offset and offset must not differ");
  return said;
};

/** Files that arrive in pieces. */
export const fileUploadHandlers = ({
  useCases: { uploads },
}: {
  readonly useCases: UseCases;
}): HandlersOf<typeof fileUploadOperations> => ({
  "files.beginUpload": async (request) => {
    const { path, mode, size } = request.body;
    const file = { path, mode: parseFileMode(mode), sizeBytes: size };
    return { status: 201, body: wireUpload(await uploads.begin(sandboxOf(request), file)) };
  },
  "files.appendUpload": async (request) => {
    const offset = offsetOf(request.query.offset, request.headers["upload-offset"]);
    return { status: 200, body: wireUpload(await uploads.append(uploadOf(request), offset, request.body)) };
  },
  "files.getUpload": async (request) => ({ status: 200, body: wireUpload(await uploads.get(uploadOf(request))) }),
  "files.headUpload": async (request) => {
    const { offset, sizeBytes } = await uploads.get(uploadOf(request));
    const size: Record<string, string> = sizeBytes === undefined ? {} : { "Upload-Length": String(sizeBytes) };
    return { status: 200, headers: { "Upload-Offset": String(offset), ...size } };
  },
  "files.commitUpload": async (request) => {
    const { sizeBytes, sha256 } = await uploads.commit(
      uploadOf(request),
      request.body.checksum?.slice("sha256:".length),
    );
    return { status: 200, body: { status: "written", size: sizeBytes, checksum: `sha256:${sha256}` } };
  },
  "files.abortUpload": async (request) => {
    await uploads.abort(uploadOf(request));
    return { status: 200, body: { status: "aborted" } };
  },
});
