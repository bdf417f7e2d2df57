import fs from "node:fs";
import { UsageFailure } from "../failure.ts";
import { localFailure } from "./local-failure.ts";
import { shown } from "./shown.ts";

/** How deep a folder is entered. */
const depthMax = 512;

export interface LocalEntry {
  readonly path: Buffer;
  /** Relative to the folder, one byte per character; a directory's ends with a slash, the folder's own is `./`. */
  readonly name: string;
  readonly stats: fs.Stats;
}

export interface WalkOptions {
  /** Symlinks count as what they lead to. */
  readonly isFollowing: boolean;
  /** Told of each entry that can't be copied. */
  readonly onSkip: (name: string, why: string) => void;
}

/** A folder's entries, the folder first and everything sorted by name; each directory stands before what is in it. */
export function* walk(folder: string, options: WalkOptions): Generator<LocalEntry> {
  const path = Buffer.from(folder);
  const stats = fs.statSync(path);
  yield { path, name: "./", stats };
  yield* below(path, "", [stats], options);
}

function* below(
  folder: Buffer,
  prefix: string,
  within: readonly fs.Stats[],
  options: WalkOptions,
): Generator<LocalEntry> {
  for (const child of fs.readdirSync(folder, { encoding: "buffer" }).sort(Buffer.compare)) {
    const path = Buffer.concat([folder, Buffer.from("/"), child]);
    const name = prefix + child.toString("latin1");
    const stats = look(path, options);
    if (stats === undefined) continue;
    if (stats.isDirectory()) {
      if (within.some(({ dev, ino }) => dev === stats.dev && ino === stats.ino)) {
        throw new UsageFailure(`${shown(path)} is a link to a folder that it stands in; leave out --follow-links`);
      }
      if (within.length === depthMax)
        throw new UsageFailure(`${shown(path)} stands below more than ${depthMax} folders`);
      yield { path, name: `${name}/`, stats };
      try {
        yield* below(path, `${name}/`, [...within, stats], options);
      } catch (error) {
        throw localFailure(error, path);
      }
    } else if (stats.isFile() || stats.isSymbolicLink()) {
      yield { path, name, stats };
    } else {
      const kind = stats.isFIFO() ? "a FIFO" : stats.isSocket() ? "a socket" : "a device";
      options.onSkip(shown(path), `${kind} can't be copied`);
    }
  }
}

/** undefined for what vanished meanwhile, and for a link to nothing that was to be followed. */
function look(path: Buffer, { isFollowing, onSkip }: WalkOptions): fs.Stats | undefined {
  if (!isFollowing) return fs.lstatSync(path, { throwIfNoEntry: false });
  try {
    const stats = fs.statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) onSkip(shown(path), "the link leads to nothing");
    return stats;
  } catch (error) {
    throw localFailure(error, path);
  }
}
