import type { ExecEvent, ExecExit } from "../../guest/guest.ts";

/** Most output of one line, bytes: longer text would be made in pages of its own, at four times the cost. */
const lineOutputBytes = 64 * 1024;

/** What old clients read when a deadline ends a stream. */
const timeoutLine = (id: string): string => `${JSON.stringify({ stream: "stderr", data: `exec timeout: ${id}` })}\n`;

const exitLine = (exit: ExecExit): string =>
  `${JSON.stringify({
    stream: "exit",
    data: "",
    exit_code: exit.exitCode,
    timed_out: exit.timedOut,
    ...(exit.truncated ? { truncated: true } : {}),
  })}\n`;

/**
 * Bytes of one output as text: a character split between chunks waits for its rest, bytes that are no UTF-8 become
 * U+FFFD and nothing around them suffers.
 */
export const outputDecoders = () => {
  const decoders = {
    stdout: new TextDecoder("utf-8", { ignoreBOM: true }),
    stderr: new TextDecoder("utf-8", { ignoreBOM: true }),
  };
  return {
    text: (stream: "stdout" | "stderr" | "pty", data: Uint8Array): string =>
      decoders[stream === "stderr" ? "stderr" : "stdout"].decode(data, { stream: true }),
    /** What is left of a character that never ended, per stream. */
    rest: (): readonly (readonly ["stdout" | "stderr", string])[] => [
      ["stdout", decoders.stdout.decode()],
      ["stderr", decoders.stderr.decode()],
    ],
  };
};

/** A command's events as NDJSON; the last line is always the exit. A failure after the first byte cuts the stream. */
export async function* execLines(events: AsyncIterable<ExecEvent>, id: string): AsyncGenerator<string> {
  const decoders = outputDecoders();
  const line = (stream: string, data: string) => `{"stream":"${stream}","data":${JSON.stringify(data)}}\n`;
  for await (const event of events) {
    if (event.type === "output") {
      for (let at = 0; at < event.data.length; at += lineOutputBytes) {
        const data = decoders.text(event.stream, event.data.subarray(at, at + lineOutputBytes));
        if (data !== "") yield line(event.stream === "stderr" ? "stderr" : "stdout", data);
      }
    } else if (event.type === "exit") {
      for (const [stream, data] of decoders.rest()) if (data !== "") yield line(stream, data);
      if (event.timedOut) yield timeoutLine(id);
      yield exitLine(event);
    }
  }
}

/** Standard output as it is; tells the exit when it is known. */
export async function* execStdout(
  events: AsyncIterable<ExecEvent>,
  onExit: (exit: ExecExit) => void,
): AsyncGenerator<Uint8Array> {
  for await (const event of events) {
    if (event.type === "output" && event.stream !== "stderr") yield event.data;
    else if (event.type === "exit") onExit(event);
  }
}
