import type { DiskFigures } from "@stacyvm/contract";
import type { Clock } from "../../lib/clock.ts";
import type { DiskSpace } from "../../telemetry/disk-space.ts";

export interface DiskFiguresOptions {
  readonly disks: DiskSpace;
  /** What is stored, as the records tell it. */
  readonly listImages: () => Promise<readonly { readonly digest: string; readonly sizeBytes: number }[]>;
  readonly clock: Clock;
}

/** A sum over the images' records younger than this is good enough, milliseconds. */
const imageBytesFreshMs = 10_000;

/** What the disks hold, on the wire. Several names of one tree count once. */
export const createDiskFigures = ({ disks, listImages, clock }: DiskFiguresOptions) => {
  let summedAtMs = Number.NEGATIVE_INFINITY;
  let sum: Promise<number> = Promise.resolve(0);
  const imageBytes = (): Promise<number> => {
    if (clock.now() - summedAtMs >= imageBytesFreshMs) {
      summedAtMs = clock.now();
      sum = listImages().then((images) =>
        [...new Map(images.map(({ digest, sizeBytes }) => [digest, sizeBytes])).values()].reduce((a, b) => a + b, 0),
      );
      sum.catch(() => {
        summedAtMs = Number.NEGATIVE_INFINITY;
      });
    }
    return sum;
  };
  return async (): Promise<DiskFigures> => ({
    disks: (await disks.read()).map(({ use, totalBytes, freeBytes, floorBytes, isLow }) => ({
      use,
      total_bytes: totalBytes,
      free_bytes: freeBytes,
      floor_bytes: floorBytes,
      low: isLow,
    })),
    images_bytes: await imageBytes(),
  });
};
