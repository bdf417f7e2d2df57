import { runTool } from "./run-tool.ts";

/** Bytes a tree takes on the disk: holes take none, and a file with several names is counted once. */
export async function treeBytes(path: string, signal: AbortSignal, timeoutMs: number): Promise<number> {
  let bytes = Number.NaN;
  await runTool({
    argv: ["du", "--summarize", "--one-file-system", "--block-size=1", "--", path],
    signal,
    timeoutMs,
    onLine: (line) => {
      const found = /^(\d+)\t/.exec(line)?.[1];
      if (found !== undefined) bytes = Number(found);
    },
  });
  if (Number.isNaN(bytes)) throw new Error("du printed no size");
  return bytes;
}
