import { posix } from "node:path";
import { UsageFailure } from "../failure.ts";

/** One side of a copy, as the command line names it. */
export type Side =
  | { readonly kind: "local"; readonly path: string }
  | { readonly kind: "sandbox"; readonly id: string; readonly path: string }
  | { readonly kind: "stdio" };

/**
 * `ID:PATH` where a colon stands before any slash; `-` is standard input or output; anything else is local, and so is
 * whatever begins with `/` or `./`.
 */
export function parseSide(word: string): Side {
  if (word === "") throw new UsageFailure("an empty path names nothing");
  if (word.includes("\0")) throw new UsageFailure("a path must not contain NUL");
  if (word === "-") return { kind: "stdio" };
  const colon = word.indexOf(":");
  const slash = word.indexOf("/");
  if (colon <= 0 || (slash !== -1 && slash < colon)) return { kind: "local", path: word };
  const id = word.slice(0, colon);
  if (!/^sb-[\w-]+$/.test(id)) {
    throw new UsageFailure(`${id} is no sandbox's id; a local file with a colon in its name is written ./${word}`);
  }
  return { kind: "sandbox", id, path: word.slice(colon + 1) || "." };
}

/** As it was written. */
export const sideText = (side: Side): string =>
  side.kind === "stdio" ? "-" : side.kind === "local" ? side.path : `${side.id}:${side.path}`;

/** The last component of a path; undefined where none names anything: the folder's content is meant then. */
export function lastName(path: string): string | undefined {
  const name = posix.basename(path);
  // basename looks past a slash at the end, but `folder/.` means what is in the folder.
  return name === "" || name === "." || name === ".." ? undefined : name;
}

export const hasTrailingSlash = (path: string): boolean => path.endsWith("/") || path.endsWith("/.");
