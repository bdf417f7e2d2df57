/** An image before it is unpacked, wherever it came from. Lower layers first. */
export interface LayeredImage {
  readonly layers: readonly Layer[];
  /** From the image's configuration, already bounded. */
  readonly env: Readonly<Record<string, string>>;
  /** Of what a registry gave; absent for everything else. */
  readonly access?: ImageAccess;
}

/** Who may use what a registry gave: everybody, or who pulled it, and whom the registry lets have its manifest. */
export type ImageAccess = "public" | { readonly manifest: string; readonly pulledBy: readonly string[] };

export interface Layer {
  /** The layer's bytes as stored, perhaps compressed. */
  open(): AsyncIterable<Buffer>;
  /** Digest that the stored bytes must have, `sha256:…`; undefined where nothing states one. */
  readonly blobDigest: string | undefined;
  /** Digest that the plain tar must have. */
  readonly diffId: string | undefined;
}
