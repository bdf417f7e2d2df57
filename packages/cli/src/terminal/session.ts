import type { SandboxProcess } from "stacyvm";
import { createEscapeReader } from "./escape.ts";

/** The user's terminal, as far as a session needs it. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

/** Why a session ended: the command's exit status, or the user left. */
export type SessionEnd = { readonly left: true } | { readonly left: false; readonly status: number };

/** Resets the terminal: what follows a gap may begin in the middle of anything. */
const reset = "\x1bc";

const sizeOf = ({ output }: Terminal) => ({ cols: output.columns || 80, rows: output.rows || 24 });

/** Sends what is typed in order; what comes while a request is under way goes with the next one. */
const typist = (process: SandboxProcess, onFailure: (error: unknown) => void) => {
  let waiting: Uint8Array[] = [];
  let sending = false;
  const send = async (): Promise<void> => {
    sending = true;
    while (waiting.length > 0) {
      const bytes = Buffer.concat(waiting);
      waiting = [];
      await process.write(bytes);
    }
    sending = false;
  };
  return (bytes: Uint8Array): void => {
    if (bytes.length === 0) return;
    waiting.push(bytes);
    if (!sending) send().catch(onFailure);
  };
};

/**
 * Joins the user's terminal to the process's: raw input, its size, and output from the offset on. Stays mute until the
 * replay is over, so that the terminal's answers to queries in it don't reach the program.
 */
export async function terminalSession(
  process: SandboxProcess,
  terminal: Terminal,
  offset: number,
): Promise<SessionEnd> {
  const { input, output } = terminal;
  const leave = new AbortController();
  const type = typist(process, () => {
    // The process may have ended with input on its way: its exit tells.
  });
  const readTyped = createEscapeReader();
  let live = false;
  const onTyped = (data: Buffer): void => {
    const { bytes, detach } = readTyped(data);
    if (live) type(bytes);
    if (detach) leave.abort();
  };
  const onResize = (): void => void process.resize(sizeOf(terminal)).catch(() => {});
  /** A size that doesn't change draws nothing: another one first. */
  const redraw = async (): Promise<void> => {
    const { cols, rows } = sizeOf(terminal);
    await process.resize({ cols, rows: rows > 1 ? rows - 1 : rows + 1 });
    await process.resize({ cols, rows });
  };
  let torn = false;
  input.setRawMode?.(true);
  input.on("data", onTyped).resume();
  output.on("resize", onResize);
  try {
    for await (const event of process.output({ offset, signal: leave.signal })) {
      if (event.type === "output") await written(output, event.data);
      else if (event.type === "exit") return { left: false, status: event.exit.exit_code };
      else if (event.type === "gap") {
        await written(output, Buffer.from(reset));
        torn = true;
      } else {
        live = true;
        onResize();
      }
      if (live && torn) {
        torn = false;
        await redraw().catch(() => {});
      }
    }
    throw new Error("the server ended the output without the command's exit");
  } catch (error) {
    if (leave.signal.aborted) return { left: true };
    throw error;
  } finally {
    output.off("resize", onResize);
    input.off("data", onTyped).pause();
    input.setRawMode?.(false);
  }
}

const written = (output: NodeJS.WriteStream, data: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    output.write(data, (error) => (error ? reject(error) : resolve()));
  });
