import {
  type FileDownload,
  type FileDownloadOptions,
  type FileVersion,
  fileDownload,
  fileVersion,
} from "./file-download.ts";
import { type FileUploadOptions, type UploadContent, uploadFile } from "./file-upload.ts";
import { sseData } from "./sse.ts";
import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { FileInfo } from "./wire.ts";

export interface FileReadOptions extends CallOptions {
  /** Bytes from `start` up to and including `end`; without `end`, to the file's end. */
  range?: { start: number; end?: number | undefined } | undefined;
}

export interface FileWriteOptions extends CallOptions {
  /** Octal digits, for example `0755`. */
  mode?: string | undefined;
}

export interface FileRemoveOptions extends CallOptions {
  /** Needed for directories. */
  recursive?: boolean | undefined;
}

export interface FileListOptions extends CallOptions {
  /** Levels to list; 1 where absent. */
  depth?: number | undefined;
}

export interface FileMakeFolderOptions extends CallOptions {
  /** Makes missing parents too. */
  parents?: boolean | undefined;
  /** Octal digits, for example `0755`. */
  mode?: string | undefined;
}

export interface FileWatchOptions extends CallOptions {
  /** Watches the folders below it too. */
  recursive?: boolean | undefined;
}

export interface ArchiveOptions extends CallOptions {
  /** Of the tar; `none` where absent. */
  compression?: "none" | "gzip" | "zstd" | undefined;
}

export interface UnpackedArchive {
  /** Files, directories and links. */
  entries: number;
  /** Content of the files. */
  bytes: number;
}

/** One change in a watched folder, or a word about the watch itself. */
export interface FolderEvent {
  type: "live" | "created" | "written" | "removed" | "renamed" | "mode_changed" | "overflow" | "gone";
  /** Absolute; of a rename the old name, and the new one is `created`. Absent where it is about the watch. */
  path?: string;
}

export interface FileSignOptions extends CallOptions {
  /** What the link permits; `read` where absent. */
  operation?: "read" | "write" | undefined;
  /** A duration of at most seven days, for example `15m`; an hour where absent. */
  expiresIn?: string | undefined;
}

/** An address that needs no key. */
export interface FileLink {
  url: string;
  expiresAt: Date;
}

/** What can be written: text as UTF-8, bytes, or a stream that is sent as it comes (not in every browser). */
export type FileContent = string | Uint8Array | Blob | ReadableStream<Uint8Array>;

/** Files of one sandbox, byte for byte. Relative paths stand under `/workspace`. */
export class SandboxFiles {
  readonly #transport: Transport;
  readonly #sandboxId: string;

  constructor(transport: Transport, sandboxId: string) {
    this.#transport = transport;
    this.#sandboxId = sandboxId;
  }

  async read(path: string, options: FileReadOptions = {}): Promise<Uint8Array> {
    return await this.#transport.bytes(this.#reading(path, options));
  }

  /** The content as UTF-8; what is none stands as U+FFFD. */
  async readText(path: string, options: FileReadOptions = {}): Promise<string> {
    return await this.#transport.text(this.#reading(path, options));
  }

  /** The content as it arrives; the client's timeout ends with the first byte. */
  async stream(path: string, options: FileReadOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return await this.#transport.stream(this.#reading(path, options));
  }

  /** Size and version of a file, without its bytes. */
  async version(path: string, options?: CallOptions): Promise<FileVersion> {
    return await fileVersion(this.#transport, { ...this.#call("HEAD", "", options), query: { path } });
  }

  /** The content from an offset on, with the version that it is of: what was read before counts while that is the same. */
  async download(path: string, options: FileDownloadOptions = {}): Promise<FileDownload> {
    const { from = 0 } = options;
    const range = from === 0 ? undefined : { start: from };
    return await fileDownload(this.#transport, this.#reading(path, { ...options, range }));
  }

  /** Writes the whole file or nothing of it; parent directories are made. A stream has no timeout unless one is given. */
  async write(path: string, content: FileContent, options: FileWriteOptions = {}): Promise<void> {
    const limits = content instanceof ReadableStream ? { timeoutMs: 0, ...options } : options;
    await this.#transport.done({
      ...this.#call("PUT", "", limits),
      query: { path, mode: options.mode },
      headers: { "Content-Type": "application/octet-stream" },
      raw: content as NonNullable<RequestInit["body"]>,
    });
  }

  /** An address under which anybody reads (GET) or writes (PUT) the file until it expires, is revoked, or the sandbox ends. */
  async sign(path: string, { operation = "read", expiresIn, ...options }: FileSignOptions = {}): Promise<FileLink> {
    const json = { operation, path, ...(expiresIn === undefined ? {} : { expires_in: expiresIn }) };
    const link = await this.#transport.json<{ url: string; expires_at: string }>({
      ...this.#call("POST", "/sign", options),
      json,
    });
    return { url: this.#transport.resolve(link.url), expiresAt: new Date(link.expires_at) };
  }

  /** Makes every link that `sign` has made for this sandbox worthless. */
  async revokeLinks(options?: CallOptions): Promise<void> {
    await this.#transport.done(this.#call("DELETE", "/sign", options));
  }

  /**
   * Sends a large content in pieces, and goes on where it was after a lost connection. The file appears whole, or not at
   * all.
   */
  async upload(path: string, content: Uint8Array | UploadContent, options: FileUploadOptions = {}): Promise<void> {
    const whole = content instanceof Uint8Array ? new Blob([content as Uint8Array<ArrayBuffer>]) : content;
    await uploadFile(this.#transport, (method, below) => this.#call(method, below, options), path, whole, options);
  }

  /** A folder, or a file, as a tar stream. What no archive can hold is left out. */
  async readArchive(path: string, options: ArchiveOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const query = { path, compression: options.compression };
    return await this.#transport.stream({ ...this.#call("GET", "/archive", options), query });
  }

  /** Unpacks a tar into a folder; each file appears whole or not at all. No timeout unless one is given. */
  async writeArchive(path: string, archive: FileContent, options: ArchiveOptions = {}): Promise<UnpackedArchive> {
    return await this.#transport.json<UnpackedArchive>({
      ...this.#call("PUT", "/archive", { timeoutMs: 0, ...options }),
      query: { path, compression: options.compression },
      headers: { "Content-Type": "application/x-tar" },
      raw: archive as NonNullable<RequestInit["body"]>,
    });
  }

  /** Makes a directory; resolves to false where it was there already. */
  async mkdir(path: string, { parents, mode, ...options }: FileMakeFolderOptions = {}): Promise<boolean> {
    const json = { path, parents, mode };
    return (await this.#transport.json<{ created: boolean }>({ ...this.#call("POST", "/mkdir", options), json }))
      .created;
  }

  /**
   * What changes in a folder: first `live`, then the changes; ends after `overflow` (some were lost) or `gone`. Leaving
   * the loop ends the watch.
   */
  async *watch(path: string, options: FileWatchOptions = {}): AsyncGenerator<FolderEvent, void, undefined> {
    const query = { path, recursive: options.recursive ? true : undefined };
    const stream = await this.#transport.stream({ ...this.#call("GET", "/watch", options), query });
    for await (const data of sseData(stream)) yield JSON.parse(data) as FolderEvent;
  }

  async stat(path: string, options?: CallOptions): Promise<FileInfo> {
    return await this.#transport.json({ ...this.#call("GET", "/stat", options), query: { path } });
  }

  /** The entries of one directory, and with `depth` of those below it. */
  async list(path = "/", { depth, ...options }: FileListOptions = {}): Promise<FileInfo[]> {
    return await this.#transport.json({ ...this.#call("GET", "/list", options), query: { path, depth } });
  }

  async remove(path: string, options: FileRemoveOptions = {}): Promise<void> {
    const recursive = options.recursive ? true : undefined;
    await this.#transport.done({ ...this.#call("DELETE", "", options), query: { path, recursive } });
  }

  async move(oldPath: string, newPath: string, options?: CallOptions): Promise<void> {
    const json = { old_path: oldPath, new_path: newPath };
    await this.#transport.done({ ...this.#call("POST", "/move", options), json });
  }

  /** @param mode octal digits, for example `0755` */
  async chmod(path: string, mode: string, options?: CallOptions): Promise<void> {
    await this.#transport.done({ ...this.#call("POST", "/chmod", options), json: { path, mode } });
  }

  /** Paths that match; `**` crosses directories. */
  async glob(pattern: string, options?: CallOptions): Promise<string[]> {
    const found = await this.#transport.json<string[] | null>({
      ...this.#call("GET", "/glob", options),
      query: { pattern },
    });
    return found ?? [];
  }

  #reading(path: string, options: FileReadOptions): Call {
    const { range } = options;
    const headers = range === undefined ? {} : { Range: `bytes=${range.start}-${range.end ?? ""}` };
    return { ...this.#call("GET", "", options), query: { path }, headers };
  }

  #call(method: Call["method"], below: string, options: CallOptions | undefined): Call {
    const path = `/sandboxes/${segment(this.#sandboxId)}/files${below}`;
    return { method, path, options, sandboxId: this.#sandboxId };
  }
}
