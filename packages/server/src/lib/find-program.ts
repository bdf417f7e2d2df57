import { accessSync, constants } from "node:fs";
import { isAbsolute, join } from "node:path";

/** Where the distribution keeps programs; the caller's PATH is not trusted with what runs as root. */
export const programDirs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] as const;

/** Absolute path of a program; where it would be expected when it isn't installed, so that messages can name it. */
export function findProgram(name: string): string {
  if (isAbsolute(name)) return name;
  for (const dir of programDirs) {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return join(dir, name);
    } catch {
      // Not in this one.
    }
  }
  return join("/usr/bin", name);
}
