import { StacyVMError } from "./errors.ts";
import { type ProcessEvent, processEvents } from "./process-output.ts";
import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { ProcessExit, ProcessInfo, SignalName } from "./wire.ts";

export interface ProcessOptions extends CallOptions {
  /** In shell mode each is quoted and appended to the command; in argv mode they are the arguments. */
  args?: readonly string[] | undefined;
  /** `shell` (default): the command is a line for `sh -c`. `argv`: a program's name, no shell involved. */
  mode?: "shell" | "argv" | undefined;
  env?: Record<string, string> | undefined;
  /** Default `/workspace`. */
  workdir?: string | undefined;
  /** Name or uid inside the sandbox. */
  user?: string | undefined;
  /** A name of your own; several processes may share one. */
  tag?: string | undefined;
  /** Keeps stdin open; without it, and without a terminal, stdin is empty. */
  stdin?: boolean | undefined;
  /** Gives the process a terminal of this size. */
  pty?: { cols: number; rows: number } | undefined;
  /** Go duration after which the whole process tree is ended; none where absent. */
  timeout?: string | undefined;
}

export interface ProcessOutputOptions extends CallOptions {
  /** Of the first byte wanted. Default 0. */
  offset?: number | undefined;
  /** false: ends with what there is now. */
  follow?: boolean | undefined;
  /** Goes on after the command's exit, until everything that it started has ended. */
  pastExit?: boolean | undefined;
  /**
   * How long a lost connection is tried again, milliseconds, before the loop throws; it goes on from where it was.
   * Default 30 000; 0, or a client without retries, for never.
   */
  reconnectMs?: number | undefined;
}

const defaultReconnectMs = 30_000;

/** How long one request waits for an exit; the wait itself repeats it. */
const waitPerCall = { text: "60s", timeoutMs: 75_000 };

/** A process that outlives its connections. What its getters tell is what the server said last; `refresh` asks again. */
export class SandboxProcess {
  readonly #transport: Transport;
  readonly #sandboxId: string;
  #info: ProcessInfo;

  constructor(transport: Transport, sandboxId: string, info: ProcessInfo) {
    this.#transport = transport;
    this.#sandboxId = sandboxId;
    this.#info = info;
  }

  /** `pr-` and 16 hex digits; valid over a restart of the server. */
  get id(): string {
    return this.#info.id;
  }
  /** A copy. */
  get info(): ProcessInfo {
    return { ...this.#info };
  }
  /** How the command ended; absent while it runs. */
  get exit(): ProcessExit | undefined {
    return this.#info.exit;
  }

  /** Output from the offset, then live, to the command's exit. Several may iterate at once, and none slows it. */
  output(options: ProcessOutputOptions = {}): AsyncGenerator<ProcessEvent, void, undefined> {
    const { offset = 0, follow = true, pastExit = false, reconnectMs = defaultReconnectMs } = options;
    const call = { ...this.#call("GET", "/output", options), query: { follow, encoding: "base64" } };
    return processEvents(this.#transport, call, { offset, pastExit, reconnectMs });
  }

  /** Writes to stdin or the terminal. Resolves when the process, or the queue before it, has taken all. */
  async write(data: string | Uint8Array, options?: CallOptions): Promise<void> {
    await this.#transport.done({
      ...this.#call("POST", "/stdin", options),
      headers: { "Content-Type": "application/octet-stream" },
      raw: data as NonNullable<RequestInit["body"]>,
    });
  }

  /** Writes in order; closing it closes stdin, or sends a terminal the end of input. */
  get stdin(): WritableStream<string | Uint8Array> {
    return new WritableStream({
      write: (chunk) => this.write(chunk),
      close: () => (this.#info.pty ? this.write("\x04") : this.closeStdin()),
    });
  }

  async closeStdin(options?: CallOptions): Promise<void> {
    await this.#transport.done(this.#call("DELETE", "/stdin", options));
  }

  /** To the process and everything that it started, or with `tree: false` only to itself. */
  async signal(name: SignalName, options: CallOptions & { tree?: boolean | undefined } = {}): Promise<void> {
    const json = { signal: name, tree: options.tree };
    await this.#transport.done({ ...this.#call("POST", "/signal", options), json });
  }

  /** Changes the terminal's size. */
  async resize(size: { cols: number; rows: number }, options?: CallOptions): Promise<void> {
    await this.#transport.done({ ...this.#call("POST", "/resize", options), json: size });
  }

  /**
   * Resolves when the command has exited; a non-zero exit is a result. Waits without end unless `timeoutMs` is given.
   * @throws {StacyVMError} code `TIMEOUT` when it runs on after `timeoutMs`
   */
  async wait(options: CallOptions = {}): Promise<ProcessExit> {
    const endsAt = options.timeoutMs ? performance.now() + options.timeoutMs : Number.POSITIVE_INFINITY;
    for (;;) {
      const leftMs = Math.max(0, endsAt - performance.now());
      const timeout = leftMs < 60_000 ? `${Math.ceil(leftMs)}ms` : waitPerCall.text;
      const limits = { signal: options.signal, timeoutMs: waitPerCall.timeoutMs };
      this.#info = await this.#transport.json({ ...this.#call("GET", "/wait", limits), query: { timeout } });
      if (this.#info.exit !== undefined) return this.#info.exit;
      if (performance.now() >= endsAt) throw new StacyVMError(`Process ${this.id} runs on`, "TIMEOUT");
    }
  }

  /** Asks for the present state; returns this object. */
  async refresh(options?: CallOptions): Promise<this> {
    this.#info = await this.#transport.json(this.#call("GET", "", options));
    return this;
  }

  #call(method: Call["method"], below: string, options?: CallOptions): Call {
    const path = `/sandboxes/${segment(this.#sandboxId)}/processes/${segment(this.id)}${below}`;
    return { method, path, options, sandboxId: this.#sandboxId };
  }
}

/** Processes of one sandbox that outlive the connection that started them. */
export class SandboxProcesses {
  readonly #transport: Transport;
  readonly #sandboxId: string;

  constructor(transport: Transport, sandboxId: string) {
    this.#transport = transport;
    this.#sandboxId = sandboxId;
  }

  async start(command: string, options: ProcessOptions = {}): Promise<SandboxProcess> {
    const { signal: _signal, timeoutMs: _timeoutMs, mode = "shell", ...rest } = options;
    const info = await this.#transport.json<ProcessInfo>({
      ...this.#call("POST", "", options),
      json: { command, mode, ...rest },
    });
    return this.#process(info);
  }

  /** Oldest first; ended ones stay for 24 hours or until 100 others have ended. */
  async list(options?: CallOptions): Promise<SandboxProcess[]> {
    const all = await this.#transport.json<ProcessInfo[]>(this.#call("GET", "", options));
    return all.map((info) => this.#process(info));
  }

  /** @throws {SandboxNotFoundError} reason `process_not_found` */
  async get(id: string, options?: CallOptions): Promise<SandboxProcess> {
    return this.#process(await this.#transport.json(this.#call("GET", `/${segment(id)}`, options)));
  }

  /** The output of a process whose id is known, from the offset on, live, to its exit. */
  async *attach(id: string, options: ProcessOutputOptions = {}): AsyncGenerator<ProcessEvent, void, undefined> {
    yield* (await this.get(id, options)).output(options);
  }

  #process(info: ProcessInfo): SandboxProcess {
    return new SandboxProcess(this.#transport, this.#sandboxId, info);
  }

  #call(method: Call["method"], below: string, options?: CallOptions): Call {
    const path = `/sandboxes/${segment(this.#sandboxId)}/processes${below}`;
    return { method, path, options, sandboxId: this.#sandboxId };
  }
}
