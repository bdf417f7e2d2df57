import { imageBounds } from "../bounds.ts";
import type { TarHeader } from "./header.ts";

/** The entry as it may be unpacked, or why it is left out. */
export type Verdict =
  | { readonly keep: true; readonly header: TarHeader }
  | { readonly keep: false; readonly reason: "device" | "union-metadata" | "root" };

/** The archive as a whole is refused: nothing of it is unpacked. */
export class HostileArchiveError extends Error {
  override readonly name = "HostileArchiveError";
}

const whiteoutPrefix = ".wh.";
const opaqueMarker = ".wh..wh..opq";

/**
 * One entry of a layer made harmless. Owner, mode (set-uid bits included) and mtime are kept: a tree is only ever a
 * read-only lower layer under a user namespace's identity mapping and no_new_privs, and lies below a directory that
 * only the server's user may enter, so a set-uid file is never one of the host's. Of the extended attributes only
 * `user.*` is kept: file capabilities are void under no_new_privs, `trusted.*`, `user.overlay.*` and security labels
 * would speak to the host's overlay and policy. Device nodes are dropped, a sandbox brings its own.
 */
export function sanitiseEntry(header: TarHeader): Verdict {
  const name = cleanPath(header.name);
  if (name === "") return { keep: false, reason: "root" };
  if (header.type === "char" || header.type === "block") return { keep: false, reason: "device" };
  const base = name.slice(name.lastIndexOf("/") + 1);
  if (base.startsWith(whiteoutPrefix) && base !== opaqueMarker) {
    const hidden = base.slice(whiteoutPrefix.length);
    if (hidden.startsWith(whiteoutPrefix)) return { keep: false, reason: "union-metadata" };
    if (hidden === "" || hidden === "." || hidden === "..") throw new HostileArchiveError("a whiteout hides no name");
  }
  return {
    keep: true,
    header: { ...header, name, linkName: cleanLink(header), xattrs: userAttributes(header.xattrs) },
  };
}

/** Relative to the image's root; a leading slash means that root. */
function cleanPath(path: string): string {
  if (path.length > imageBounds.pathBytes) throw new HostileArchiveError("a path is too long");
  if (path.includes("\0")) throw new HostileArchiveError("a path has a NUL byte");
  const components = path.split("/").filter((component) => component !== "" && component !== ".");
  for (const component of components) {
    if (component === "..") throw new HostileArchiveError("a path climbs with ..");
    if (component.length > imageBounds.componentBytes) throw new HostileArchiveError("a file name is too long");
  }
  return components.join("/");
}

function cleanLink(header: TarHeader): string {
  if (header.type === "hardlink") {
    const target = cleanPath(header.linkName);
    if (target === "") throw new HostileArchiveError("a hard link has no target");
    return target;
  }
  if (header.type !== "symlink") return "";
  // Any target may stand in a symbolic link: it is resolved inside the sandbox, and inside a chroot while unpacking.
  const target = header.linkName;
  if (target === "" || target.length > imageBounds.pathBytes || target.includes("\0")) {
    throw new HostileArchiveError("a symbolic link's target is empty, too long or has a NUL byte");
  }
  return target;
}

function userAttributes(xattrs: TarHeader["xattrs"]): TarHeader["xattrs"] {
  const kept = Object.entries(xattrs).filter(
    ([name]) => name.startsWith("user.") && !name.startsWith("user.overlay.") && name.length <= 255,
  );
  return Object.fromEntries(kept);
}
