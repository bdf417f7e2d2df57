import { StacyVMError } from "./errors.ts";
import { isPassing } from "./passing.ts";
import type { Call, CallOptions, Transport } from "./transport.ts";

export interface FileUploadOptions extends CallOptions {
  /** Octal digits, for example `0755`. */
  mode?: string | undefined;
  /** `sha256:` and 64 hex digits of the whole content; other bytes are then refused at the end. */
  checksum?: string | undefined;
  /** Told how many bytes have arrived, of how many. */
  onProgress?: ((sentBytes: number, sizeBytes: number) => void) | undefined;
  /** How long a lost connection is tried again, milliseconds. Default 60,000. */
  reconnectMs?: number | undefined;
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
  content: Blob,
  { mode, checksum, onProgress, reconnectMs = 60_000, signal }: FileUploadOptions,
): Promise<void> {
  const begin = {
    ...call("POST", "/uploads"),
    json: { path, size: content.size, ...(mode === undefined ? {} : { mode }) },
  };
  const { upload_id: id } = await transport.json<WireUpload>(begin);
  const one = `/uploads/${encodeURIComponent(id)}`;
  let offset = 0;
  let givesUpAt = Number.POSITIVE_INFINITY;
  /** Runs one step until it succeeds or the time for lost connections is over. */
  const persist = async <T>(step: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        const result = await step();
        givesUpAt = Number.POSITIVE_INFINITY;
        return result;
      } catch (error) {
        const now = performance.now();
        givesUpAt = Math.min(givesUpAt, now + reconnectMs);
        if (!transport.repeats || !(error instanceof StacyVMError) || !isPassing(error) || now >= givesUpAt)
          throw error;
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
    await transport.done({ ...call("POST", `${one}/commit`), json: checksum === undefined ? {} : { checksum } });
  } catch (error) {
    // Its bytes would stay for a day; where even this fails, they do.
    await transport.done({ ...call("DELETE", one), options: {} }).catch(() => {});
    throw error;
  }
}
