import type { Readable } from "node:stream";

export const archiveCompressions = ["none", "gzip", "zstd"] as const;
export type ArchiveCompression = (typeof archiveCompressions)[number];

/** A folder's tar as it is made. */
export interface ArchiveContent {
  /**
   * Must be read to its end, left, or discarded. Each part is valid until the next one is asked for. Throws where the
   * archive could not be finished.
   */
  readonly body: AsyncIterable<Buffer> & { readonly discard: () => void };
  /** Sockets, FIFOs, devices and what couldn't be read; known at the end. */
  readonly skipped: () => number;
}

export interface UnpackedArchive {
  readonly entries: number;
  /** Content of files. */
  readonly bytes: number;
}

/** Folders of a sandbox. Every path is absolute; symlinks to the folder itself are followed, none inside. */
export interface GuestFolders {
  /** A tar of a directory, with names relative to it, or of one file. */
  pack(path: string, compression: ArchiveCompression, signal: AbortSignal): Promise<ArchiveContent>;
  /**
   * Writes a tar's entries below a directory, which is made where it is missing. Throws archive_invalid at the first
   * entry that is refused; those before it stay.
   */
  unpack(
    path: string,
    content: Readable,
    compression: ArchiveCompression,
    signal: AbortSignal,
  ): Promise<UnpackedArchive>;
  /** Makes a directory and says whether it did: one that is there already is left as it is. */
  make(
    path: string,
    options: { readonly mode?: number; readonly parents: boolean },
    signal: AbortSignal,
  ): Promise<boolean>;
}
