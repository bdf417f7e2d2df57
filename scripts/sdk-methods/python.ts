import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import type { Shapes, Surface } from "./surface.ts";

const root = resolve(import.meta.dirname, "..", "..");

interface Told {
  readonly classes: Record<string, Record<string, string[] | null>>;
  readonly shapes: Record<string, string[]>;
}

/** What the Python client's own script tells of it. */
export const pythonClient = (): { readonly surface: Surface; readonly shapes: Shapes } => {
  const script = join(root, "sdk-python", "scripts", "list_methods.py");
  const told: Told = JSON.parse(execFileSync("python3", ["-B", script], { encoding: "utf8" }));
  const classes = Object.entries(told.classes).map(
    ([owner, members]) =>
      [owner, new Map(Object.entries(members).map(([name, takes]) => [name, takes ?? undefined]))] as const,
  );
  return { surface: new Map(classes), shapes: new Map(Object.entries(told.shapes)) };
};
