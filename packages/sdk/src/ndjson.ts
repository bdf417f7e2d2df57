import { linesOf } from "./lines.ts";
import type { StreamChunk } from "./wire.ts";

/** The JSON objects of an NDJSON stream; blank lines, malformed ones and anything that is no object are skipped. */
export async function* objectsOf(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<Record<string, unknown>, void, undefined> {
  for await (const line of linesOf(stream)) {
    const text = line.trim();
    if (text === "") continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      continue;
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) yield value as Record<string, unknown>;
  }
}

/** What an output line holds, with the defaults of lines that say less. */
export const chunkOf = (line: Record<string, unknown>): StreamChunk => ({
  stream: typeof line.stream === "string" ? line.stream : "stdout",
  data: typeof line.data === "string" ? line.data : "",
});

/** Output chunks of an NDJSON stream, every object line as one chunk. */
export async function* parseNDJSON(stream: ReadableStream<Uint8Array>): AsyncGenerator<StreamChunk, void, undefined> {
  for await (const line of objectsOf(stream)) yield chunkOf(line);
}
