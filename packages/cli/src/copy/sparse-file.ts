import fs from "node:fs";

/** Runs of zeros at least this long become holes, bytes. */
const holeMinBytes = 4096;

const zeros = Buffer.alloc(256 * 1024);

const isHole = (bytes: Uint8Array): boolean =>
  bytes.length >= holeMinBytes && bytes.length <= zeros.length && zeros.subarray(0, bytes.length).equals(bytes);

export interface FileWriter {
  /** Bytes from the file's beginning up to what comes next. */
  readonly offset: number;
  write(bytes: Uint8Array): void;
  /** Gives the file its length, which holes at its end don't. */
  end(): void;
}

/** Writes from the offset on. What is zero isn't written, so a sparse file of a sandbox doesn't fill this machine's disk. */
export function fileWriter(fd: number, from: number): FileWriter {
  let offset = from;
  return {
    get offset() {
      return offset;
    },
    write(bytes) {
      if (!isHole(bytes))
        for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at, undefined, offset + at);
      offset += bytes.length;
    },
    end: () => fs.ftruncateSync(fd, offset),
  };
}

/** Whether a file system has space for so many bytes. A large file of zeros may be refused although it would fit. */
export function isRoomFor(folder: fs.PathLike, sizeBytes: number): boolean {
  const { bavail, bsize, blocks } = fs.statfsSync(folder);
  return blocks === 0 || sizeBytes <= bavail * bsize;
}
