import { StacyError } from "@stacyvm/contract";
import type { FileEntry, FileType } from "../guest.ts";
import { type EntryInfo, FileType as WireType } from "../wire/filesystem/filesystem_pb.js";

/** Longest path taken from an agent, characters: the longest that names a directory, and an entry in it. */
export const pathMax = 4351;

const typeNames: Partial<Record<WireType, FileType>> = {
  [WireType.FILE]: "file",
  [WireType.DIRECTORY]: "directory",
  [WireType.SYMLINK]: "symlink",
};

/** Throws guest_protocol where the agent's entry can't be true. */
export function fileEntry(entry: EntryInfo | undefined): FileEntry {
  if (entry === undefined || !entry.path.startsWith("/") || entry.path.length > pathMax) {
    throw new StacyError("guest_protocol", "the sandbox's agent described a file without a usable path");
  }
  return {
    path: entry.path,
    type: typeNames[entry.type] ?? "other",
    sizeBytes: safeNumber(entry.size),
    mode: entry.mode & 0o7777,
    modifiedAtMs: safeNumber(entry.modifiedTime?.seconds ?? 0n) * 1000,
  };
}

/** A count or size from the wire; what a double can't hold is pressed into its range. */
export function safeNumber(value: bigint): number {
  const most = BigInt(Number.MAX_SAFE_INTEGER) / 1000n;
  return Number(value > most ? most : value < -most ? -most : value);
}
