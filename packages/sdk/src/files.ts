import type { Call, CallOptions, Transport } from "./transport.ts";
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
  async readStream(path: string, options: FileReadOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return await this.#transport.stream(this.#reading(path, options));
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

  async stat(path: string, options?: CallOptions): Promise<FileInfo> {
    return await this.#transport.json({ ...this.#call("GET", "/stat", options), query: { path } });
  }

  /** The entries of one directory. */
  async list(path = "/", options?: CallOptions): Promise<FileInfo[]> {
    return await this.#transport.json({ ...this.#call("GET", "/list", options), query: { path } });
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
    const path = `/sandboxes/${encodeURIComponent(this.#sandboxId)}/files${below}`;
    return { method, path, options, sandboxId: this.#sandboxId };
  }
}
