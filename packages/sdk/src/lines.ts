/** The longest line a stream may carry, UTF-16 units. */
const maxLineLength = 32 * 1024 * 1024;

/**
 * The lines of a UTF-8 byte stream, without their ends; characters may be cut anywhere between chunks. Leaving the
 * loop early cancels the stream.
 * @throws {RangeError} a line is longer than the bound
 */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let ended = false;
  try {
    while (!ended) {
      const { done, value } = await reader.read();
      ended = done;
      const lines = (rest + decoder.decode(value ?? new Uint8Array(), { stream: !done })).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > maxLineLength) throw new RangeError(`a line of the stream is over ${maxLineLength} characters`);
      for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
    }
    if (rest !== "") yield rest;
  } finally {
    // Not awaited: a cancelled body may settle only when the other side does.
    if (!ended) reader.cancel().catch(() => {});
  }
}
