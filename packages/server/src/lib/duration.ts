/** The largest number of nanoseconds; everything is counted as unsigned up to one more, as the format's origin does. */
const limit = 1n << 63n;

const unitNs = new Map<string, bigint>([
  ["ns", 1n],
  ["us", 1_000n],
  ["\u00b5s", 1_000n],
  ["\u03bcs", 1_000n],
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n],
]);

const quote = (text: string): string => {
  let quoted = "";
  for (const character of text) {
    if (character >= " " && character < "\x80") {
      quoted += character === '"' || character === "\\" ? `\\${character}` : character;
      continue;
    }
    for (const byte of Buffer.from(character)) quoted += `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `"${quoted}"`;
};

/** Digits after the point, of which those count that still fit. */
const fractionNs = (digits: string, unit: bigint): bigint => {
  let value = 0n;
  let scale = 1;
  for (const digit of digits) {
    if (value > (limit - 1n) / 10n) break;
    const next = value * 10n + BigInt(digit);
    if (next > limit) break;
    value = next;
    scale *= 10;
  }
  return BigInt(Math.trunc(Number(value) * (Number(unit) / scale)));
};

/**
 * Nanoseconds of a Go duration string such as "1h30m", "-1.5s" or "0". Throws an Error with Go's text, for example
 * `time: invalid duration "soon"`.
 */
export const parseDurationNs = (text: string): bigint => {
  const invalid = () => new Error(`time: invalid duration ${quote(text)}`);
  const negative = text.startsWith("-");
  let rest = negative || text.startsWith("+") ? text.slice(1) : text;
  if (rest === "0") return 0n;
  if (rest === "") throw invalid();
  let total = 0n;
  while (rest !== "") {
    const [all, whole = "", fraction = "", name = ""] = /^([0-9]*)(?:\.([0-9]*))?([^0-9.]*)/.exec(rest) ?? [""];
    if (whole === "" && fraction === "") throw invalid();
    const count = BigInt(whole);
    if (count > limit) throw invalid();
    if (name === "") throw new Error(`time: missing unit in duration ${quote(text)}`);
    const unit = unitNs.get(name);
    if (unit === undefined) throw new Error(`time: unknown unit ${quote(name)} in duration ${quote(text)}`);
    if (count > limit / unit) throw invalid();
    total += count * unit + fractionNs(fraction, unit);
    if (total > limit) throw invalid();
    rest = rest.slice(all.length);
  }
  if (!negative && total === limit) throw invalid();
  return negative ? -total : total;
};

/** Milliseconds, with a fraction where the text has one. Throws as parseDurationNs does. */
export const parseDuration = (text: string): number => Number(parseDurationNs(text)) / 1e6;

const withFraction = (value: bigint, decimals: number): string => {
  const digits = String(value).padStart(decimals + 1, "0");
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  const whole = digits.slice(0, digits.length - decimals);
  return fraction === "" ? whole : `${whole}.${fraction}`;
};

/** As Go prints a duration: "0s", "1.5ms", "2s", "1h0m0s". */
export const formatDurationNs = (ns: bigint): string => {
  if (ns === 0n) return "0s";
  const sign = ns < 0n ? "-" : "";
  const size = ns < 0n ? -ns : ns;
  if (size < 1_000n) return `${sign}${size}ns`;
  if (size < 1_000_000n) return `${sign}${withFraction(size, 3)}\u00b5s`;
  if (size < 1_000_000_000n) return `${sign}${withFraction(size, 6)}ms`;
  const minutes = size / 60_000_000_000n;
  const seconds = withFraction(size % 60_000_000_000n, 9);
  if (minutes === 0n) return `${sign}${seconds}s`;
  if (minutes < 60n) return `${sign}${minutes}m${seconds}s`;
  return `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}s`;
};

/** As Go prints a duration; the number is rounded to whole nanoseconds. */
export const formatDuration = (ms: number): string => formatDurationNs(BigInt(Math.round(ms * 1e6)));
