import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import type { Result } from "./run.ts";

const main = join(resolve(import.meta.dirname), "main.ts");

/** Runs the command as a program of its own, in its own namespaces. */
export const security = async (
  ...args: readonly string[]
): Promise<{ readonly status: number | null; readonly results: readonly Result[]; readonly errors: string }> => {
  const child = spawn(process.execPath, [main, "--json", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const closed = new Promise<number | null>((done) => child.once("close", done));
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const status = await closed;
  return { status, errors, results: out.startsWith("[") ? (JSON.parse(out) as readonly Result[]) : [] };
};

/** What keeps the walls from being attacked here; undefined where nothing does. */
export const cannotAttack = (): string | undefined => (process.getuid?.() === 0 ? undefined : "not root: no sandboxes");
