import { Readable } from "node:stream";
import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import type { ArchiveCompression } from "../../guest/guest-folders.ts";
import { signal } from "./suite.testing.ts";

export const packed = async (guest: Guest, path: string, compression: ArchiveCompression = "none"): Promise<Buffer> => {
  const { body } = await guest.folders.pack(path, compression, signal());
  return Buffer.concat(await Array.fromAsync(body, (part) => Buffer.from(part)));
};

export const unpack = (guest: Guest, path: string, archive: Buffer, compression: ArchiveCompression = "none") =>
  guest.folders.unpack(path, Readable.from([archive], { objectMode: false }), compression, signal());

/** Runs a command for as long as the scope lasts. */
export const keepDoing = (guest: Guest, argv: readonly string[], cwd: string): AsyncDisposable => {
  const away = new AbortController();
  const doing = (async () => {
    for await (const _ of guest.exec({ argv, cwd }, away.signal));
  })().catch(() => "ended");
  return {
    [Symbol.asyncDispose]: async () => {
      away.abort();
      expect(await doing).toBe("ended");
    },
  };
};
