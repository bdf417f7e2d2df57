import { type ExecBytes, type ExecOptions, type ExecStream, execBody, execLimits, execStream } from "./exec.ts";
import { SandboxFiles } from "./files.ts";
import { SandboxNetwork } from "./network.ts";
import { SandboxProcesses } from "./processes.ts";
import { fullView } from "./spawning.ts";
import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { ExecResult, FileInfo, ListeningPort, SandboxInfo, SandboxState, SandboxStats } from "./wire.ts";

/** One sandbox. What its getters tell is what the server said last; `refresh` asks again. */
export class Sandbox {
  /** Files byte for byte, with streams and ranges. */
  readonly files: SandboxFiles;
  /** Commands that outlive the connection, and terminals. */
  readonly processes: SandboxProcesses;
  /** What it may reach, and what it tried. */
  readonly network: SandboxNetwork;
  readonly #transport: Transport;
  #info: SandboxInfo;

  constructor(transport: Transport, info: SandboxInfo) {
    this.#transport = transport;
    this.#info = info;
    this.files = new SandboxFiles(transport, info.id);
    this.processes = new SandboxProcesses(transport, info.id);
    this.network = new SandboxNetwork(transport, info.id);
  }

  get id(): string {
    return this.#info.id;
  }
  get state(): SandboxState {
    return this.#info.state;
  }
  get image(): string {
    return this.#info.image;
  }
  get provider(): string {
    return this.#info.provider;
  }
  get memoryMb(): number {
    return this.#info.memory_mb;
  }
  get vcpus(): number {
    return this.#info.vcpus;
  }
  /** Undefined where it has none, or the server doesn't know names. */
  get name(): string | undefined {
    return this.#info.name;
  }
  /** A copy. */
  get labels(): Record<string, string> {
    return { ...this.#info.labels };
  }
  /** The profile that was used; undefined where the server doesn't tell. */
  get security(): string | undefined {
    return this.#info.security;
  }
  /** A copy. */
  get info(): SandboxInfo {
    return { ...this.#info };
  }

  /** Where an application listening on the port inside is reached. */
  getPreviewUrl(port: number): string {
    return `http://${port}-${this.id}.${this.#info.preview_domain || "localhost"}`;
  }

  /** Programs that listen in the sandbox. */
  async ports(options?: CallOptions): Promise<ListeningPort[]> {
    return await this.#transport.json(this.#call("GET", "/ports", options));
  }

  /**
   * A request to a port in the sandbox, which needs no network, with the platform's own options and answer. The path counts
   * as `fetch` reads it. What goes wrong on the way there is an answer of the server: 502 with a `reason`.
   * @throws {TypeError} for a path that would leave the port and reach the server itself
   */
  async fetch(port: number, path: string, init: RequestInit = {}): Promise<Response> {
    const address = `/sandboxes/${segment(this.id)}/ports/${port}/proxy`;
    const below = address + (path.startsWith("/") ? path : `/${path}`);
    if (!new URL(`http://localhost${below}`).pathname.startsWith(`${address}/`)) {
      throw new TypeError(`${JSON.stringify(path)} leads out of the port`);
    }
    return await this.#transport.request(below, init);
  }

  /**
   * Runs a command to its end. A non-zero exit is a result, not an error; with `output: "bytes"` stdout comes raw.
   * @throws {StacyVMError} code `TIMEOUT` past the command's timeout, with the partial output in `details`
   */
  async exec(command: string, options: ExecOptions & { output: "bytes" }): Promise<ExecBytes>;
  async exec(command: string, options?: ExecOptions & { output?: "text" | undefined }): Promise<ExecResult>;
  async exec(
    command: string,
    options: ExecOptions & { output?: "text" | "bytes" | undefined } = {},
  ): Promise<ExecResult | ExecBytes> {
    const call: Call = {
      ...this.#call("POST", "/exec", execLimits(options, this.#transport.timeoutMs)),
      json: execBody(command, options, false),
    };
    if (options.output !== "bytes") return await this.#transport.json<ExecResult>(call);
    return { stdout: await this.#transport.bytes({ ...call, headers: { Accept: "application/octet-stream" } }) };
  }

  /** Runs a command when the loop over its output begins; leaving the loop ends the command. */
  execStream(command: string, options: ExecOptions = {}): ExecStream {
    return execStream(this.#transport, {
      ...this.#call("POST", "/exec", options),
      json: execBody(command, options, true),
    });
  }

  /** Writes text. `files.write` takes bytes and streams. */
  async writeFile(path: string, content: string, mode?: string): Promise<void> {
    await this.#transport.done({ ...this.#call("POST", "/files"), json: { path, content, mode } });
  }

  /** Reads text. `files.read` gives bytes. */
  async readFile(path: string): Promise<string> {
    return await this.files.readText(path);
  }

  async listFiles(path = "/"): Promise<FileInfo[]> {
    return await this.files.list(path);
  }

  async deleteFile(path: string, recursive = false): Promise<void> {
    await this.files.remove(path, { recursive });
  }

  async moveFile(oldPath: string, newPath: string): Promise<void> {
    await this.files.move(oldPath, newPath);
  }

  /** @param mode octal digits, for example `0755` */
  async chmodFile(path: string, mode: string): Promise<void> {
    await this.files.chmod(path, mode);
  }

  async statFile(path: string): Promise<FileInfo> {
    return await this.files.stat(path);
  }

  async globFiles(pattern: string): Promise<string[]> {
    return await this.files.glob(pattern);
  }

  /** The last lines of the console. */
  async logs(options: CallOptions & { lines?: number | undefined } = {}): Promise<string[]> {
    return await this.#transport.json({ ...this.#call("GET", "/logs", options), query: { lines: options.lines } });
  }

  async stats(options?: CallOptions): Promise<SandboxStats> {
    return await this.#transport.json(this.#call("GET", "/stats", options));
  }

  /** Sets the expiry to now plus the time to live, a Go duration. */
  async extendTtl(ttl = "30m", options?: CallOptions): Promise<void> {
    const call = this.#call("POST", "/extend", options);
    this.#info = await this.#transport.json({ ...call, query: fullView, json: { ttl } });
  }

  /** Repeating it is no error. */
  async destroy(options?: CallOptions): Promise<void> {
    await this.#transport.done(this.#call("DELETE", "", options));
    this.#info = { ...this.#info, state: "destroyed" };
  }

  /** Asks the server for the present state; returns this sandbox. */
  async refresh(options?: CallOptions): Promise<this> {
    this.#info = await this.#transport.json({ ...this.#call("GET", "", options), query: fullView });
    return this;
  }

  toString(): string {
    return `Sandbox(id="${this.id}", state="${this.state}")`;
  }

  toJSON(): SandboxInfo {
    return this.info;
  }

  #call(method: Call["method"], below: string, options?: CallOptions): Call {
    return { method, path: `/sandboxes/${segment(this.id)}${below}`, options, sandboxId: this.id };
  }
}
