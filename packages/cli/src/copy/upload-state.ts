import { createHash } from "node:crypto";
import fs from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Remembers the upload of one local file as it is now to one place, over the end of this program. */
export interface UploadState {
  readonly uploadId: string | undefined;
  remember(uploadId: string): void;
  forget(): void;
}

/** `$XDG_STATE_HOME/stacyvm/uploads`; where nothing can be written there, a copy that was cut short starts over. */
export function uploadState(key: readonly (string | number)[]): UploadState {
  const stateHome = process.env.XDG_STATE_HOME || join(homedir(), ".local", "state");
  const folder = join(stateHome, "stacyvm", "uploads");
  const path = join(folder, createHash("sha256").update(JSON.stringify(key)).digest("hex"));
  const read = (): string | undefined => {
    try {
      return /^up-[0-9a-f]{16}$/.exec(fs.readFileSync(path, "utf8"))?.[0];
    } catch {
      return undefined;
    }
  };
  return {
    uploadId: read(),
    remember(uploadId) {
      try {
        fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
        fs.writeFileSync(path, uploadId, { mode: 0o600 });
      } catch {
        // Only the way back is lost.
      }
    },
    forget: () => fs.rmSync(path, { force: true }),
  };
}
