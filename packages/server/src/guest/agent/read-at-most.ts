/** The beginning of a body, whose parts are valid only until the next: the first `bytesMax` bytes and no more of the rest. */
export async function readAtMost(body: AsyncIterable<Buffer>, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let held = 0;
  for await (const chunk of body) {
    held += chunk.length;
    if (held > bytesMax) break;
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}
