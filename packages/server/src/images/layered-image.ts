/** An image before it is unpacked, wherever it came from. Lower layers first. */
export interface LayeredImage {
  readonly layers: readonly Layer[];
  /** From the image's configuration, already bounded. */
  readonly env: Readonly<Record<string, string>>;
}

export interface Layer {
  /** The layer's bytes as stored, perhaps compressed. */
  open(): AsyncIterable<Buffer>;
  /** Digest that the stored bytes must have, `sha256:…`; undefined where nothing states one. */
  readonly blobDigest: string | undefined;
  /** Digest that the plain tar must have. */
  readonly diffId: string | undefined;
}
