// The command line takes folders from sandboxes, which are as hostile as an image's layers: one reader for both.
export type { TarHeader, TarType } from "./images/tar/header.ts";
export { readTar, type TarEntry } from "./images/tar/read.ts";
export { encodeHeader, endOfArchive, padding } from "./images/tar/write.ts";
