/**
 * What happened below a watched folder. `live` comes first: what follows is told. `overflow` (changes were lost) and
 * `gone` (the folder itself was removed or renamed) come last.
 */
export type FolderEvent =
  | {
      readonly type: "created" | "written" | "removed" | "renamed" | "mode_changed";
      /** Absolute. Of a rename it is the old name; the new one is created. */
      readonly path: string;
    }
  | { readonly type: "live" | "overflow" | "gone" | "keepalive" };

/**
 * Watches one folder, with those below it when `recursive`. A reader that is too slow gets an overflow and never holds
 * memory for it. Ends after `overflow` or `gone`, or with a throw.
 */
export type WatchFolder = (
  path: string,
  options: { readonly recursive: boolean },
  signal: AbortSignal,
) => AsyncIterable<FolderEvent>;
