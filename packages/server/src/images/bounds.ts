/** Every limit that the image store keeps, its unit in the name. */
export const imageBounds = {
  referenceBytes: 512,
  /** Of an image's configuration document. */
  configBytes: 4 * 1024 * 1024,
  envEntries: 256,
  envBytes: 64 * 1024,
  /** Kept of what a tool prints. */
  toolOutputBytes: 8 * 1024 * 1024,
  toolLineBytes: 4096,
  pullTimeoutMs: 15 * 60_000,
  unpackTimeoutMs: 10 * 60_000,
  buildBaseTimeoutMs: 20 * 60_000,
} as const;
