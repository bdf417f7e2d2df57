/** An unpacked, read-only root file system, shared by every sandbox that uses it. */
export interface ImageRoot {
  /** Content address, `sha256:` and 64 hex digits. */
  readonly digest: string;
  /** Absolute path of the tree on this host. */
  readonly rootfsPath: string;
  /** As the image's configuration says; names, not resolved. */
  readonly env: Readonly<Record<string, string>>;
}

export interface StoredImage {
  /** Normalised reference, for example docker.io/library/alpine:latest. */
  readonly reference: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly createdAtMs: number;
  readonly source: "pull" | "import" | "build-base";
}

export interface PullProgress {
  readonly phase: "resolve" | "download" | "unpack" | "done";
  readonly message: string;
}

export type OnProgress = (progress: PullProgress) => void;

export interface ImageStore {
  /**
   * The root of a reference: alias applied, then what is stored, else pulled (once, however many ask at the same time).
   * Throws image_not_found, image_pull_failed or invalid_input.
   */
  ensure(reference: string, signal: AbortSignal, onProgress?: OnProgress): Promise<ImageRoot>;
  /** Pulls even when a copy is stored. */
  pull(reference: string, signal: AbortSignal, onProgress?: OnProgress): Promise<StoredImage>;
  /** A root file system tar (optionally compressed), an OCI layout directory or tar, or a Docker archive. */
  importFrom(reference: string, source: string, signal: AbortSignal, onProgress?: OnProgress): Promise<StoredImage>;
  /** A Debian base made with mmdebstrap from the host's package sources. */
  buildBase(
    reference: string,
    options: { readonly suite?: string },
    signal: AbortSignal,
    onProgress?: OnProgress,
  ): Promise<StoredImage>;
  list(): Promise<readonly StoredImage[]>;
  /** Refused with state_conflict while `inUse` says so. */
  remove(reference: string, inUse: (digest: string) => Promise<boolean>): Promise<void>;
}
