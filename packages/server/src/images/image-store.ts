import { StacyError } from "@stacyvm/contract";

/** An unpacked, read-only root file system, shared by every sandbox that uses it. */
export interface ImageRoot {
  /** Content address, `sha256:` and 64 hex digits. */
  readonly digest: string;
  /** Absolute path of the tree on this host. */
  readonly rootfsPath: string;
  /** As the image's configuration says; names, not resolved. */
  readonly env: Readonly<Record<string, string>>;
}

/** `code` has Python, Node, git and a C toolchain besides. */
export type BaseVariant = "minimal" | "code";

/** Variables by their names, as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface BaseOptions {
  /** Code name of a release; the host's own where absent. */
  readonly suite?: string;
  /** `minimal` where absent. */
  readonly variant?: BaseVariant;
  /** Where npm is looked for beside the system's folders, and what configures it. */
  readonly environment?: Environment;
}

export type ImageSource = "pull" | "import" | "build-base";

export interface StoredImage {
  /** Normalised reference, for example docker.io/library/alpine:latest. */
  readonly reference: string;
  readonly digest: string;
  /** On the disk; images of one digest share them. */
  readonly sizeBytes: number;
  readonly createdAtMs: number;
  /** When a sandbox was last started from it; until then when it came. */
  readonly lastUsedAtMs: number;
  readonly source: ImageSource;
}

/** Nothing removes the tree while this isn't disposed. */
export interface ImageUse extends Disposable {
  readonly root: ImageRoot;
}

export interface CollectOptions {
  readonly rules: GarbageRules;
  /** References that stay whatever the rules say. */
  readonly keep: readonly string[];
  /** Whether a sandbox that has begun uses the tree. */
  readonly inUse: (digest: string) => Promise<boolean>;
  readonly signal: AbortSignal;
  /** Tells what would go, and removes nothing. */
  readonly dryRun?: boolean;
}

/** What may stay; an absent bound bounds nothing. */
export interface GarbageRules {
  /** Bytes of all trees together. */
  readonly maxBytes?: number | undefined;
  /** Since an image's last use, milliseconds. */
  readonly maxAgeMs?: number | undefined;
}

export interface RemovedImage {
  /** Empty for a tree that lost its last name to a newer image. */
  readonly references: readonly string[];
  readonly digest: string;
  readonly sizeBytes: number;
  readonly lastUsedAtMs: number;
  readonly reason: "unnamed" | "age" | "size";
}

export interface CollectedImages {
  readonly removed: readonly RemovedImage[];
  readonly freedBytes: number;
  /** What is left. */
  readonly storedBytes: number;
  readonly dryRun: boolean;
}

export interface PullProgress {
  readonly phase: "resolve" | "download" | "unpack" | "done";
  readonly message: string;
}

export type OnProgress = (progress: PullProgress) => void;

/** For whom an image is: empty, of no tenant. What a registry gave one caller is another's only by the registry's word. */
export interface ImageUser {
  readonly tenantId: string;
}

/** What an engine that keeps images of its own is told. */
export interface EngineImages {
  /** The image's one name, alias applied; a local one is never pulled. Throws invalid_input. */
  name(reference: string): { readonly reference: string; readonly isLocal: boolean };
  /** As `use`, of what is stored here: nothing is pulled. Undefined too where it isn't for this user. */
  useStored(reference: string, signal: AbortSignal, user?: ImageUser): Promise<ImageUse | undefined>;
  /** What the engine shows the registry for this user, and what the registry has said. */
  asker(reference: string, user: ImageUser): Promise<EngineAsker>;
}

export interface EngineAsker {
  /** Whether what the engine has is for this user only by the registry's word. */
  readonly mustAsk: boolean;
  /**
   * Whether the registry lets the user have the very manifest: by its word, given lately or now, to this server. An engine that has a
   * manifest asks nobody. Throws image_pull_failed where the registry can't be asked.
   */
  mayHave(manifest: string, signal: AbortSignal): Promise<boolean>;
  /** Undefined for nothing. Throws image_pull_failed for a registry on an internal address that the operator hasn't permitted. */
  login(
    signal: AbortSignal,
  ): Promise<{ readonly username: string; readonly password: string; readonly serveraddress: string } | undefined>;
}

export interface ImageStore extends EngineImages {
  /**
   * The root of a reference: alias applied, then what is stored, else pulled (once, however many ask at the same time).
   * Throws image_not_found, image_pull_failed or invalid_input.
   */
  ensure(reference: string, signal: AbortSignal, onProgress?: OnProgress): Promise<ImageRoot>;
  /**
   * As ensure, for the user, and until it is disposed nothing removes the tree. Whoever has it writes down where `inUse` finds it that
   * a sandbox uses the digest, and only then disposes.
   */
  use(reference: string, signal: AbortSignal, user?: ImageUser): Promise<ImageUse>;
  /** Pulls even when a copy is stored. */
  pull(reference: string, signal: AbortSignal, onProgress?: OnProgress): Promise<StoredImage>;
  /** A root file system tar (optionally compressed), an OCI layout directory or tar, or a Docker archive. */
  importFrom(reference: string, source: string, signal: AbortSignal, onProgress?: OnProgress): Promise<StoredImage>;
  /** A Debian base made with mmdebstrap from the host's package sources. */
  buildBase(
    reference: string,
    options: BaseOptions,
    signal: AbortSignal,
    onProgress?: OnProgress,
  ): Promise<StoredImage>;
  list(): Promise<readonly StoredImage[]>;
  /** Refused with state_conflict while `inUse` says so, or a spawn is about to use it. */
  remove(reference: string, inUse: (digest: string) => Promise<boolean>): Promise<void>;
  /** Removes images by age and size; what was imported or made here never. */
  collect(options: CollectOptions): Promise<CollectedImages>;
}

/** What is said where a name can only be made on this host. */
export const notMadeYet = (reference: string): StacyError =>
  new StacyError("image_not_found", `image: ${reference} is made on this host and is not stored yet`, {
    remediation: `Make it with: stacyvm image build-base ${reference}${/\/code:/.test(reference) ? " --variant code" : ""}`,
  });
