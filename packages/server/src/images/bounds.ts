/** Every limit the image store keeps, with its unit. A configuration may lower or raise the first two. */
export const imageBounds = {
  /** Bytes a pull may put on disk before it is unpacked. */
  downloadBytes: 16 * 1024 ** 3,
  /** Bytes of file content over all layers of one image. */
  unpackedBytes: 32 * 1024 ** 3,
  /** Entries over all layers of one image. */
  entries: 2_000_000,
  layers: 256,
  /** Bytes of a path, of a link target, and of one of a path's components. */
  pathBytes: 4096,
  componentBytes: 255,
  /** Bytes of extended headers before one entry. */
  extendedHeaderBytes: 1024 * 1024,
  /** Bytes of an index, a manifest or an image configuration. */
  documentBytes: 4 * 1024 * 1024,
  /** Files inside an OCI or Docker archive. */
  archiveFiles: 4096,
  envEntries: 256,
  envBytes: 64 * 1024,
  referenceBytes: 512,
  /** Bytes kept of what a tool prints to stderr. */
  toolStderrBytes: 16 * 1024,
  toolLineBytes: 4096,
} as const;

export interface ImageTimeouts {
  readonly pullMs: number;
  readonly unpackMs: number;
  readonly buildBaseMs: number;
  /** How long a registry may take to say whether somebody may have a manifest. */
  readonly manifestMs: number;
  /** How long to wait for another process that works on the same image. */
  readonly lockMs: number;
}

export const imageTimeouts: ImageTimeouts = {
  pullMs: 15 * 60_000,
  unpackMs: 10 * 60_000,
  buildBaseMs: 20 * 60_000,
  manifestMs: 30_000,
  lockMs: 30 * 60_000,
};
