import type { Readable } from "node:stream";

/** How far an upload has come. */
export interface UploadState {
  readonly offset: number;
  /** Undefined where none was announced. */
  readonly sizeBytes: number | undefined;
  readonly expiresAtMs: number;
}

/**
 * Files that arrive in pieces, under ids that the caller chose. Failures are StacyErrors (upload_not_found,
 * upload_conflict and disk_full with the `offset` in their details, checksum_mismatch …).
 */
export interface GuestUploads {
  begin(
    id: string,
    file: { readonly path: string; readonly mode: number; readonly sizeBytes: number | undefined },
    signal: AbortSignal,
  ): Promise<UploadState>;
  /** What arrived before a failure stays. */
  append(id: string, offset: number, content: Readable, signal: AbortSignal): Promise<UploadState>;
  get(id: string, signal: AbortSignal): Promise<UploadState>;
  /** The file appears under its name, whole, or nothing changes. `sha256` is hex, and compared where it is given. */
  commit(
    id: string,
    sha256: string | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly sizeBytes: number; readonly sha256: string }>;
  abort(id: string, signal: AbortSignal): Promise<void>;
}
