import type { Call, CallOptions, Transport } from "./transport.ts";

export interface FileVersion {
  /** Changes with the content; undefined for what the kernel makes up. */
  readonly etag: string | undefined;
  /** Of the whole file; undefined where nobody knows. */
  readonly sizeBytes: number | undefined;
}

export interface FileDownloadOptions extends CallOptions {
  /** Offset of the first byte. Default 0. */
  from?: number | undefined;
}

export interface FileDownload extends FileVersion {
  /** Of the stream's first byte: 0 where the server doesn't serve parts of the file. */
  readonly offset: number;
  readonly stream: ReadableStream<Uint8Array>;
}

const whole = (text: string | null | undefined): number | undefined =>
  text !== null && text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;

const versionOf = (headers: Headers): FileVersion => ({
  etag: headers.get("etag") ?? undefined,
  sizeBytes: whole(headers.get("content-range")?.replace(/^.*\//, "") ?? headers.get("content-length")),
});

export async function fileVersion(transport: Transport, call: Call): Promise<FileVersion> {
  return versionOf((await transport.opened(call)).headers);
}

export async function fileDownload(transport: Transport, call: Call): Promise<FileDownload> {
  const { stream, headers } = await transport.opened(call);
  const offset = whole(/^bytes (\d+)-/.exec(headers.get("content-range") ?? "")?.[1]) ?? 0;
  return { ...versionOf(headers), offset, stream };
}
