/** How a result is shown: with colour or without, with marks of Unicode or of ASCII. */
export interface Paint {
  green(text: string): string;
  yellow(text: string): string;
  red(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
  readonly arrow: string;
}

/** Colour only on a terminal that shows it and where nobody asked for none (NO_COLOR); Unicode where the locale has it. */
export function createPaint(
  onTerminal: boolean,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Paint {
  const colours = onTerminal && !env.NO_COLOR && env.TERM !== "dumb";
  const code = (start: number, end: number) => (text: string) =>
    colours ? `\u001b[${start}m${text}\u001b[${end}m` : text;
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || "";
  return {
    green: code(32, 39),
    yellow: code(33, 39),
    red: code(31, 39),
    dim: code(2, 22),
    bold: code(1, 22),
    arrow: /utf-?8/i.test(locale) ? "→" : "->",
  };
}
