import { UsageFailure } from "../failure.ts";
import { hasTrailingSlash, lastName } from "./sides.ts";

export type Kind = "file" | "directory";

export interface Source {
  /** As it was written, for messages. */
  readonly text: string;
  readonly path: string;
  readonly kind: Kind;
}

export interface Target {
  readonly text: string;
  readonly path: string;
  /** undefined: nothing is there. */
  readonly kind: Kind | undefined;
}

export interface Landing {
  readonly path: string;
  /** The name was joined to the target, not given by the user. */
  readonly joined: boolean;
}

const join = (folder: string, name: string): string => (folder.endsWith("/") ? folder + name : `${folder}/${name}`);

/** Where a source goes, by the rules of cp: into a directory that is there, else under the target's own name. */
export function landing(source: Source, target: Target, isOnlySource: boolean): Landing {
  if (!isOnlySource && target.kind !== "directory") {
    throw new UsageFailure(`${target.text} is no directory; several sources need one that is there`);
  }
  const name = lastName(source.path);
  if (target.kind === "directory") {
    return name === undefined ? { path: target.path, joined: false } : { path: join(target.path, name), joined: true };
  }
  if (target.kind === "file" && source.kind === "directory") {
    throw new UsageFailure(`${target.text} is a file; the folder ${source.text} can't take its place`);
  }
  if (source.kind === "file" && hasTrailingSlash(target.path)) {
    throw new UsageFailure(`${target.text} is no directory; without the slash it is the new file's name`);
  }
  return { path: target.path.replace(/(?<=.)\/+$/, ""), joined: false };
}
