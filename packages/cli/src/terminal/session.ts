import type { WriteStream } from "node:tty";
import type { ServerAddress } from "../server-socket.ts";
import { type Attachment, type AttachmentOptions, attachTo } from "./attachment.ts";
import { createEscapeReader } from "./escape.ts";
import type { ProcessAddress, TerminalSize } from "./process-socket.ts";
import { createScreen, type Screen } from "./screen.ts";

/** The user's terminal, as far as a session needs it. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: WriteStream;
  /** Where words of our own go; often the same terminal. */
  readonly notices: WriteStream;
}

export interface SessionOptions extends Pick<AttachmentOptions, "offset" | "reconnectMs"> {
  /** Nobody was attached before: what the program has asked the terminal by now is still to be answered. */
  readonly fresh: boolean;
}

/** Why a session ended: the command's exit status, or the user left. */
export type SessionEnd = { readonly left: true } | { readonly left: false; readonly status: number };

/** Bytes that wait for the server before the keyboard isn't read any more. */
const waitingInputBytesMax = 1024 * 1024;
/** How long a program has to draw at another size before it draws at the right one, milliseconds. */
const redrawMs = 200;

const bell = "\x07";
const awayText = "connection lost, trying again; keys are dropped; Enter ~ . leaves";
const backText = "connected again";

const sizeOf = ({ output }: Terminal): TerminalSize => ({ cols: output.columns || 80, rows: output.rows || 24 });

/**
 * Joins the user's terminal to the process's: raw input, its size, and output from the offset on. Stays mute until the
 * replay is over. What is typed while there is no connection is dropped, with a bell.
 */
export async function terminalSession(
  server: ServerAddress,
  address: ProcessAddress,
  terminal: Terminal,
  { offset, reconnectMs, fresh }: SessionOptions,
): Promise<SessionEnd> {
  const { input, output } = terminal;
  const leave = new AbortController();
  const screen = createScreen();
  /** What the program shows isn't what the terminal shows. */
  let torn = offset > 0;
  const attachment = attachTo(server, address, {
    offset,
    signal: leave.signal,
    ...(reconnectMs === undefined ? {} : { reconnectMs }),
    onAway: () => {
      torn = true;
      tell(terminal, screen, awayText);
    },
    onBack: () => {
      if (!screen.isAlternate()) tell(terminal, screen, backText);
    },
  });
  const resize = resizing(terminal, attachment);
  let unanswered = fresh;
  let joined = false;
  const readTyped = createEscapeReader();
  const onTyped = (data: Buffer): void => {
    const { bytes, detach } = readTyped(data);
    if (bytes.length > 0 && !(joined && attachment.write(bytes, onSent))) output.write(bell);
    if (attachment.waitingBytes() > waitingInputBytesMax) input.pause();
    if (detach) leave.abort();
  };
  const onSent = (): void => {
    if (input.isPaused() && attachment.waitingBytes() <= waitingInputBytesMax) input.resume();
  };
  input.setRawMode?.(true);
  input.pause().on("data", onTyped);
  // Who has just started the process may type ahead, which waits for the connection.
  if (!fresh) input.resume();
  output.on("resize", resize.fit);
  try {
    for await (const event of attachment.events) {
      switch (event.type) {
        case "open":
          joined = unanswered;
          input.resume();
          break;
        case "output":
          await written(output, screen.shown(event.data, event.replayed && !unanswered));
          break;
        case "gap":
          torn = true;
          await written(output, screen.reset());
          break;
        case "live":
          joined = true;
          unanswered = false;
          if (torn) resize.redraw();
          else resize.fit();
          torn = false;
          break;
        case "refused":
          output.write(bell);
          break;
        case "exit":
          return { left: false, status: event.exit.exit_code };
      }
    }
    throw new Error("the server ended the output without the command's exit");
  } catch (error) {
    if (leave.signal.aborted) return { left: true };
    throw error;
  } finally {
    output.write(screen.leave());
    resize.stop();
    output.off("resize", resize.fit);
    input.off("data", onTyped).pause();
    input.setRawMode?.(false);
  }
}

/** Gives the process the terminal's size, and makes its program draw again. */
function resizing(terminal: Terminal, attachment: Attachment) {
  let timer: NodeJS.Timeout | undefined;
  const fit = (): void => {
    clearTimeout(timer);
    attachment.resize(sizeOf(terminal));
  };
  return {
    fit,
    /** A size that doesn't change draws nothing: another one first, for as long as the program needs to see it. */
    redraw(): void {
      const { cols, rows } = sizeOf(terminal);
      clearTimeout(timer);
      attachment.resize({ cols, rows: rows > 1 ? rows - 1 : rows + 1 });
      timer = setTimeout(fit, redrawMs);
    },
    stop: (): void => clearTimeout(timer),
  };
}

/** Words of our own: a line of their own, or over the last line of a program that has the whole screen. */
function tell(terminal: Terminal, screen: Screen, text: string): void {
  const { notices } = terminal;
  const words = `stacyvm: ${text}`;
  if (!notices.isTTY) notices.write(`${words}\n`);
  else if (screen.isAlternate()) {
    const { cols, rows } = sizeOf(terminal);
    notices.write(`${screen.interrupt()}\x1b7\x1b[${rows};1H\x1b[0;7m${words.slice(0, cols - 1)}\x1b[K\x1b8`);
  } else notices.write(`${screen.interrupt()}\r\n${words}\r\n`);
}

const written = (output: WriteStream, data: Uint8Array | string): Promise<void> =>
  new Promise((resolve, reject) => {
    output.write(data, (error) => (error ? reject(error) : resolve()));
  });
