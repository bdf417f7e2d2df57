import { UsageFailure } from "../failure.ts";
import { shown } from "./shown.ts";

/** The longest name and one component of it, bytes; and how deep a name may lead. */
const nameBytesMax = 4095;
const componentBytesMax = 255;
const depthMax = 512;

/** A name of an archive holds one byte per character. */
export const bytesOf = (name: string): Buffer => Buffer.from(name, "latin1");

export class HostileEntry extends UsageFailure {
  constructor(name: string, why: string) {
    super(`the sandbox's archive was refused at "${shown(bytesOf(name))}": ${why}`);
  }
}

/** The components of an entry's name, none for the folder itself. What could lead out of the folder is refused. */
export function partsOf(name: string): readonly string[] {
  const refuse = (why: string) => new HostileEntry(name, why);
  if (name.startsWith("/")) throw refuse("an absolute name leads out of the folder");
  if (name.includes("\0")) throw refuse("a name must not contain NUL");
  if (name.length > nameBytesMax) throw refuse(`a name is longer than ${nameBytesMax} bytes`);
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refuse("a name with .. leads out of the folder");
  if (parts.some((part) => part.length > componentBytesMax)) {
    throw refuse(`a part of the name is longer than ${componentBytesMax} bytes`);
  }
  if (parts.length > depthMax) throw refuse(`a name leads through more than ${depthMax} folders`);
  return parts;
}

/** Whether a symlink at that place leads out of the folder that the place is counted from. */
export function leadsOut(place: readonly string[], target: string): boolean {
  if (target.startsWith("/")) return true;
  let depth = place.length - 1;
  for (const part of target.split("/")) {
    if (part === "..") depth--;
    else if (part !== "" && part !== ".") depth++;
    if (depth < 0) return true;
  }
  return false;
}
