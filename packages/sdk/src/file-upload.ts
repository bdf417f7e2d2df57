import { StacyVMError } from "./errors.ts";
import { isPassing } from "./passing.ts";
import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";

export interface FileUploadOptions extends CallOptions {
  /** Octal digits, for example `0755`. */
  mode?: string | undefined;
  /**
   * `sha256:` and 64 hex digits of the whole content, or what tells them once everything is sent; other bytes are then
   * refused.
   */
  checksum?: string | (() => string) | undefined;
  /** Of an upload of the same content that was begun before; a new one begins where it is no longer there. */
  uploadId?: string | undefined;
  /** Told the id before the first byte. Who takes it wants to go on later: a failure then leaves what has arrived. */
  onBegin?: ((uploadId: string) => void) | undefined;
  /** Told how many bytes have arrived, of how many; first, before any is sent, those of an earlier attempt. */
  onProgress?: ((sentBytes: number, sizeBytes: number) => void) | undefined;
  /** How long a lost connection is tried again, milliseconds. Default 60,000. */
  reconnectMs?: number | undefined;
}

/** What can be sent in pieces: each may be asked for again. A Blob is one. */
export interface UploadContent {
  /** Bytes. */
  readonly size: number;
  slice(start: number, end: number): Blob | Uint8Array<ArrayBuffer>;
}

interface WireUpload {
  upload_id: string;
  offset: number;
}

/** Most bytes of one request: what is lost at most where nothing of a broken one arrived. */
const pieceBytes = 8 * 1024 * 1024;
/** Wait before another try, milliseconds. */
const pauseMs = 250;

/** Sends the content in pieces, each from where the last one ended; `call` leads to a path below the sandbox's files. */
export async function uploadFile(
  transport: Transport,
  call: (method: Call["method"], below: string) => Call,
  path: string,
  content: UploadContent,
  options: FileUploadOptions,
): Promise<void> {
  const { mode, checksum, onProgress, reconnectMs = 60_000, signal } = options;
  const begin = async (): Promise<WireUpload> => {
    const json = { path, size: content.size, ...(mode === undefined ? {} : { mode }) };
    return await transport.json<WireUpload>({ ...call("POST", "/uploads"), json });
  };
  const { upload_id: id, offset: arrived } = (await earlier(transport, call, options.uploadId)) ?? (await begin());
  options.onBegin?.(id);
  const one = `/uploads/${segment(id)}`;
  let offset = arrived;
  onProgress?.(offset, content.size);
  let givesUpAt = Number.POSITIVE_INFINITY;
  let isEarlier = options.uploadId !== undefined;
  /** Runs one step until it succeeds or the time for lost connections is over. */
  const persist = async <T>(step: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        const result = await step();
        givesUpAt = Number.POSITIVE_INFINITY;
        isEarlier = false;
        return result;
      } catch (error) {
        // A request that was lost, here or in an earlier attempt, may still be at work.
        const wasLost = givesUpAt < Number.POSITIVE_INFINITY || isEarlier;
        const mayPass =
          error instanceof StacyVMError && (isPassing(error) || (wasLost && error.reason === "upload_conflict"));
        const now = performance.now();
        givesUpAt = Math.min(givesUpAt, now + reconnectMs);
        if (!transport.repeats || !mayPass || now >= givesUpAt) throw error;
        await transport.sleep(pauseMs, signal);
        // What had arrived stays: the server says where to go on.
        offset = await transport.json<WireUpload>(call("GET", one)).then(
          (upload) => upload.offset,
          () => offset,
        );
      }
    }
  };
  try {
    while (offset < content.size) {
      offset = await persist(async () => {
        if (offset >= content.size) return offset;
        const raw = content.slice(offset, offset + pieceBytes);
        return (await transport.json<WireUpload>({ ...call("PATCH", one), query: { offset }, raw })).offset;
      });
      onProgress?.(offset, content.size);
    }
    const json = checksum === undefined ? {} : { checksum: typeof checksum === "string" ? checksum : checksum() };
    // Safe to repeat: a commit that succeeded answers the same again.
    await persist(() => transport.done({ ...call("POST", `${one}/commit`), json }));
  } catch (error) {
    // Bytes that nobody will go on with would stay for a day; where even this fails, they do.
    if (options.onBegin === undefined || !isPassingOrCut(error, signal))
      await transport.done({ ...call("DELETE", one), options: {} }).catch(() => {});
    throw error;
  }
}

const isPassingOrCut = (error: unknown, signal: AbortSignal | undefined): boolean =>
  signal?.aborted === true || (error instanceof StacyVMError && isPassing(error));

/** The upload that is to go on; undefined where there is none any more. */
async function earlier(
  transport: Transport,
  call: (method: Call["method"], below: string) => Call,
  uploadId: string | undefined,
): Promise<WireUpload | undefined> {
  if (uploadId === undefined) return undefined;
  try {
    return await transport.json<WireUpload>(call("GET", `/uploads/${segment(uploadId)}`));
  } catch (error) {
    if (error instanceof StacyVMError && error.reason === "upload_not_found") return undefined;
    throw error;
  }
}
