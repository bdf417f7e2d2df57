import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import type { Surface } from "./surface.ts";

const root = resolve(import.meta.dirname, "..", "..");

/** The surface of the Python client, by its own script. */
export const pythonSurface = (): Surface => {
  const script = join(root, "sdk-python", "scripts", "list_methods.py");
  const told: Record<string, Record<string, string[] | null>> = JSON.parse(
    execFileSync("python3", ["-B", script], { encoding: "utf8" }),
  );
  return new Map(
    Object.entries(told).map(([owner, members]) => [
      owner,
      new Map(Object.entries(members).map(([name, takes]) => [name, takes ?? undefined])),
    ]),
  );
};
