import { formatSize, parseSize } from "./size.ts";

/** How much of a disk has to stay free; the lesser of the two counts, and without either nothing has to. */
export interface FreeFloor {
  readonly bytes?: number;
  /** Of the whole disk. */
  readonly percent?: number;
}

/** Reads "2g", "5%", "2g,5%" or "0". Throws an Error when it is none of them. */
export const parseFreeFloor = (text: string): FreeFloor => {
  let floor: FreeFloor = {};
  for (const part of text.split(",").map((piece) => piece.trim())) {
    const percent = /^([0-9]+(?:\.[0-9]+)?)\s*%$/.exec(part)?.[1];
    const isTwice = percent === undefined ? floor.bytes !== undefined : floor.percent !== undefined;
    if (isTwice) throw new Error(`${JSON.stringify(text)} has more than a size and a percentage`);
    if (percent === undefined) floor = { ...floor, bytes: parseSize(part) };
    else if (Number(percent) >= 100) throw new Error(`${JSON.stringify(text)} leaves nothing of the disk to use`);
    else floor = { ...floor, percent: Number(percent) };
  }
  return floor;
};

/** As parseFreeFloor reads it back. */
export const formatFreeFloor = ({ bytes, percent }: FreeFloor): string =>
  [bytes === undefined ? [] : formatSize(bytes), percent === undefined ? [] : `${percent}%`].flat().join(",") || "0";

/** Bytes that have to stay free of a disk of that size. */
export const floorBytes = ({ bytes, percent }: FreeFloor, totalBytes: number): number => {
  const floors = [bytes ?? [], percent === undefined ? [] : Math.floor((totalBytes * percent) / 100)].flat();
  return floors.length === 0 ? 0 : Math.min(...floors);
};
