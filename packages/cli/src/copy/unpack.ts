import { readTar } from "@stacyvm/server/tar";
import { UsageFailure } from "../failure.ts";
import type { Copied } from "./copied.ts";
import { HostileEntry, leadsOut, partsOf } from "./entry-name.ts";
import { Placing } from "./placing.ts";

/** Entries of one archive. */
const entriesMax = 2_000_000;

/** Bytes that may come between two entries' contents, the end included: headers, and what fills up a block. */
const betweenEntriesBytesMax = 8 * 1024 * 1024;

const blockBytes = 512;

export interface Unpacked extends Copied {
  /** Symlinks that lead out of the folder: on this machine they name something else. */
  linksOut: number;
}

/**
 * Unpacks a sandbox's archive into a directory that is there. The first entry that could reach outside ends it, and
 * what was written before stays. An archive without its end is refused as cut short.
 */
export async function unpackInto(
  root: string,
  archive: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void = () => {},
): Promise<Unpacked> {
  const done: Unpacked = { files: 0, directories: 0, links: 0, bytes: 0, linksOut: 0 };
  const placing = new Placing(root);
  const source = watched(archive);
  let entries = 0;
  try {
    for await (const { header, body } of readTar(source.chunks)) {
      if (++entries > entriesMax) throw new HostileEntry(header.name, `it has more than ${entriesMax} entries`);
      source.inEntry();
      const count = (bytes: number): void => {
        done.bytes += bytes;
        onBytes(bytes);
        source.inEntry();
      };
      switch (header.type) {
        case "directory":
          placing.directory(header);
          done.directories++;
          break;
        case "file":
          await placing.file(header, body, count);
          done.files++;
          break;
        case "hardlink":
          await placing.hardLink(header);
          done.files++;
          break;
        case "symlink":
          await placing.symlink(header);
          done.links++;
          if (leadsOut(partsOf(header.name), header.linkName)) done.linksOut++;
          break;
        default:
          throw new HostileEntry(header.name, `it is a ${header.type === "fifo" ? "FIFO" : "device"}`);
      }
    }
  } catch (error) {
    if (error instanceof Error && (error.name === "TruncatedError" || error.name === "TarFormatError")) {
      throw new UsageFailure(`the sandbox's archive is damaged: ${error.message}`, { cause: error });
    }
    throw error;
  } finally {
    placing.settle();
  }
  if (!source.endsInZeros()) throw new UsageFailure("the sandbox's archive is cut short");
  return done;
}

/** Counts what comes between entries, and remembers how the archive ended: by a block of zeros. */
function watched(archive: AsyncIterable<Uint8Array>) {
  let between = 0;
  let tail: Buffer = Buffer.alloc(0);
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const piece of archive) {
      const chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
      between += chunk.length;
      if (between > betweenEntriesBytesMax + chunk.length)
        throw new UsageFailure("the sandbox's archive has headers without end");
      yield chunk;
      tail = Buffer.from(Buffer.concat([tail, chunk.subarray(-blockBytes)]).subarray(-blockBytes));
    }
  }
  return {
    chunks: chunks(),
    inEntry: () => {
      between = 0;
    },
    endsInZeros: () => tail.length === blockBytes && tail.every((byte) => byte === 0),
  };
}
