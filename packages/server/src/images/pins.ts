import { mkdtempSync, rmdirSync } from "node:fs";
import { readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { isAlive } from "./process-mark.ts";

/** Who is about to use which tree, seen by every process of the host. A pin of a process that has ended counts for nothing. */
export interface Pins {
  /** Held until disposed. A pin is one empty directory: made and removed at once, in a few microseconds. */
  hold(digest: string): Disposable;
  has(digest: string): Promise<boolean>;
  clearAbandoned(): Promise<void>;
}

/** Pins are called `<pid>.<start time>.<hex>.<random>`. */
export function openPins(directory: string, owner: string): Pins {
  return {
    hold(digest) {
      const path = mkdtempSync(join(directory, `${owner}.${digest.slice("sha256:".length)}.`));
      return { [Symbol.dispose]: () => rmdirSync(path) };
    },
    async has(digest) {
      const part = `.${digest.slice("sha256:".length)}.`;
      for (const name of await readdir(directory)) {
        if (name.includes(part) && (await isAlive(name))) return true;
      }
      return false;
    },
    async clearAbandoned() {
      for (const name of await readdir(directory)) {
        // Another process may have cleared it meanwhile.
        if (!(await isAlive(name))) await rmdir(join(directory, name)).catch(() => {});
      }
    },
  };
}
