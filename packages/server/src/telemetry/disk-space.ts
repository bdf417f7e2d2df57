import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { StacyError } from "@stacyvm/contract";
import { type FreeFloor, floorBytes, formatFreeFloor } from "../lib/free-floor.ts";

/** What a directory is for; each may lie on a disk of its own. */
export type DiskUse = "data" | "images" | "sandboxes";

export interface Disk {
  readonly use: DiskUse;
  readonly totalBytes: number;
  /** What an unprivileged program could still write. */
  readonly freeBytes: number;
  /** What has to stay free. */
  readonly floorBytes: number;
  readonly isLow: boolean;
}

export interface DiskSpaceOptions {
  readonly directories: Readonly<Record<DiskUse, string>>;
  readonly minFree: FreeFloor;
  /** Told once when a disk falls below its floor, and once when it is above it again, as somebody looks. */
  readonly onChange?: (disk: Disk) => void;
}

export interface DiskSpace {
  /** At most `diskFreshMs` old. A disk that can't be asked is left out. */
  read(): Promise<readonly Disk[]>;
  /** Throws host_disk_low where one of these has less than its floor. */
  requireRoom(...uses: readonly DiskUse[]): Promise<void>;
}

/** Figures younger than this are good enough for a second caller, milliseconds. */
const diskFreshMs = 250;

/** The space of the disks that this server writes to, asked of the file systems alone: nothing is walked. */
export const createDiskSpace = ({ directories, minFree, onChange }: DiskSpaceOptions): DiskSpace => {
  const low = new Set<DiskUse>();
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<readonly Disk[]> = Promise.resolve([]);

  const look = async (use: DiskUse): Promise<Disk | undefined> => {
    const stats = await nearestStatfs(directories[use]);
    if (stats === undefined || stats.blocks === 0) return undefined;
    const totalBytes = stats.blocks * stats.bsize;
    const freeBytes = stats.bavail * stats.bsize;
    const floor = floorBytes(minFree, totalBytes);
    const disk = { use, totalBytes, freeBytes, floorBytes: floor, isLow: freeBytes < floor };
    if (low.has(use) !== disk.isLow) {
      if (disk.isLow) low.add(use);
      else low.delete(use);
      onChange?.(disk);
    }
    return disk;
  };

  const read = (): Promise<readonly Disk[]> => {
    if (performance.now() - readAt >= diskFreshMs) {
      readAt = performance.now();
      reading = Promise.all([look("data"), look("images"), look("sandboxes")]).then((disks) =>
        disks.filter((disk) => disk !== undefined),
      );
    }
    return reading;
  };

  return {
    read,
    requireRoom: async (...uses) => {
      const disk = (await read()).find(({ use, isLow }) => isLow && uses.includes(use));
      if (disk === undefined) return;
      const mebibytes = (bytes: number) => `${Math.floor(bytes / 1024 ** 2)} MiB`;
      throw new StacyError(
        "host_disk_low",
        `the host's disk for ${disk.use} has ${mebibytes(disk.freeBytes)} free, less than the ` +
          `${mebibytes(disk.floorBytes)} of disk.min_free (${formatFreeFloor(minFree)})`,
      );
    },
  };
};

/** Of the directory, or of the nearest one above it that is there already. */
async function nearestStatfs(directory: string) {
  for (let at = directory; ; at = dirname(at)) {
    const stats = await statfs(at).catch((error: NodeJS.ErrnoException) => error);
    if (!(stats instanceof Error)) return stats;
    if (stats.code !== "ENOENT" || at === dirname(at)) return undefined;
  }
}
