import type { Progress } from "./progress.ts";

/** What a copy has moved so far. */
export interface Copied {
  files: number;
  directories: number;
  links: number;
  bytes: number;
}

/** What every step of one copy is given. */
export interface CopyContext {
  readonly done: Copied;
  readonly progress: Progress;
  readonly isFollowing: boolean;
  /** Told on stderr; the copy goes on. */
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
}
