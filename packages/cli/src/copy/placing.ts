import { randomBytes } from "node:crypto";
import fs from "node:fs";
import type { TarHeader } from "@stacyvm/server/tar";
import { bytesOf, HostileEntry, partsOf } from "./entry-name.ts";
import { localFailure, noSpace } from "./local-failure.ts";
import { fileWriter, isRoomFor } from "./sparse-file.ts";

/** Permission bits that a sandbox may give to a file of this machine: no setuid, setgid or sticky. */
const permissions = 0o777;

/** What every file system here can hold, seconds since 1970: from 1901 to 2514. */
const timeOf = ({ mtimeSeconds }: TarHeader): number => Math.min(Math.max(mtimeSeconds, -(2 ** 31)), 2 ** 34);

interface Attributes {
  readonly path: Buffer;
  readonly header: TarHeader;
}

/**
 * A local folder that takes a sandbox's entries. Nothing outside of it is written: a name goes through real directories
 * only, one that is a symlink is refused, and every entry appears by a rename, so nothing is written through.
 */
export class Placing {
  readonly #root: Buffer;
  readonly #made: Attributes[] = [];
  /** Directories that were seen to be some; nothing here ever removes one. */
  readonly #directories = new Set<string>();

  /** @param root a directory that is there */
  constructor(root: string) {
    this.#root = Buffer.from(root);
  }

  directory(header: TarHeader): void {
    const parts = partsOf(header.name);
    if (parts.length === 0) return;
    this.#enter(header, parts.slice(0, -1));
    if (this.#enterOne(header, parts)) this.#made.push({ path: this.#path(parts), header });
  }

  async file(header: TarHeader, body: AsyncIterable<Buffer>, onBytes: (bytes: number) => void): Promise<void> {
    const path = this.#place(header);
    if (!isRoomFor(this.#root, header.sizeBytes)) throw localFailure(noSpace(), path);
    await this.#renamed(path, async (temporary) => {
      const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
      const fd = fs.openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      try {
        const writer = fileWriter(fd, 0);
        for await (const chunk of body) {
          writer.write(chunk);
          onBytes(chunk.length);
        }
        writer.end();
        fs.fchmodSync(fd, header.mode & permissions);
        fs.futimesSync(fd, timeOf(header), timeOf(header));
      } finally {
        fs.closeSync(fd);
      }
    });
  }

  async symlink(header: TarHeader): Promise<void> {
    if (header.linkName === "" || header.linkName.includes("\0"))
      throw new HostileEntry(header.name, "a link to nothing");
    await this.#renamed(this.#place(header), (temporary) => {
      fs.symlinkSync(bytesOf(header.linkName), temporary);
      fs.lutimesSync(temporary, timeOf(header), timeOf(header));
    });
  }

  /** A second name of a file in the folder, never of what a symlink leads to. */
  async hardLink(header: TarHeader): Promise<void> {
    const path = this.#place(header);
    const target = partsOf(header.linkName);
    const isThere = target.length > 0 && this.#isDirectories(target.slice(0, -1));
    const from = this.#path(target);
    if (!isThere || fs.lstatSync(from, { throwIfNoEntry: false })?.isFile() !== true) {
      throw new HostileEntry(header.name, "its hard link's target is no file of the folder");
    }
    await this.#renamed(path, (temporary) => fs.linkSync(from, temporary));
  }

  /** Directories get their modes and times when nothing more is written into them, the innermost first. */
  settle(): void {
    for (const { path, header } of this.#made.splice(0).reverse()) {
      fs.chmodSync(path, header.mode & permissions);
      fs.utimesSync(path, timeOf(header), timeOf(header));
    }
  }

  #place(header: TarHeader): Buffer {
    const parts = partsOf(header.name);
    if (parts.length === 0) throw new HostileEntry(header.name, "only a directory may stand for the folder itself");
    this.#enter(header, parts.slice(0, -1));
    return this.#path(parts);
  }

  #enter(header: TarHeader, parts: readonly string[]): void {
    for (let depth = 1; depth <= parts.length; depth++) this.#enterOne(header, parts.slice(0, depth));
  }

  /** Makes the directory where nothing is; whether it did. */
  #enterOne(header: TarHeader, parts: readonly string[]): boolean {
    const key = parts.join("/");
    if (this.#directories.has(key)) return false;
    const path = this.#path(parts);
    try {
      const there = fs.lstatSync(path, { throwIfNoEntry: false });
      if (there !== undefined && !there.isDirectory()) {
        throw new HostileEntry(header.name, "it leads through what is no directory here; symlinks are never followed");
      }
      if (there === undefined) fs.mkdirSync(path, { mode: 0o700 });
      this.#directories.add(key);
      return there === undefined;
    } catch (error) {
      throw localFailure(error, path);
    }
  }

  #isDirectories(parts: readonly string[]): boolean {
    return parts.every((_, at) => {
      const path = this.#path(parts.slice(0, at + 1));
      return fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    });
  }

  #path(parts: readonly string[]): Buffer {
    return Buffer.concat([this.#root, bytesOf(parts.map((part) => `/${part}`).join(""))]);
  }

  async #renamed(path: Buffer, make: (temporary: Buffer) => void | Promise<void>): Promise<void> {
    const folder = path.subarray(0, path.lastIndexOf(0x2f) + 1);
    const temporary = Buffer.concat([folder, Buffer.from(`.${randomBytes(8).toString("hex")}.stacyvm-part`)]);
    try {
      await make(temporary);
      fs.renameSync(temporary, path);
    } catch (error) {
      throw localFailure(error, path);
    } finally {
      // Also after a rename: of two names of one file the kernel leaves both.
      fs.rmSync(temporary, { force: true });
    }
  }
}
