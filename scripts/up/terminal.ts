const isTerminal = process.stdout.isTTY === true && !process.env.NO_COLOR;
const paint = (code: number, text: string) => (isTerminal ? `\x1b[${code}m${text}\x1b[0m` : text);

export const bold = (text: string): string => paint(1, text);
export const dim = (text: string): string => paint(2, text);

/** What a sandbox or a tool printed, without the power to steer the terminal. */
export const printable = (text: string): string =>
  [...text].filter((char) => char === "\t" || (char >= " " && (char < "\x7f" || char > "\x9f"))).join("");

/** One step and how long it took, for example "exec    12 ms  Linux". */
export const step = (what: string, elapsedMs: number, detail = ""): void =>
  console.log(
    `  ${what.padEnd(22)}${`${elapsedMs.toFixed(elapsedMs < 10 ? 1 : 0)} ms`.padStart(9)}  ${dim(printable(detail))}`,
  );

/** Result of the work and its milliseconds. */
export async function timed<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly elapsedMs: number }> {
  const started = performance.now();
  const value = await work();
  return { value, elapsedMs: performance.now() - started };
}
