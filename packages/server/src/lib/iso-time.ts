const millisecondsPerMinute = 60_000;
/** The last millisecond that a Date can be, either way from 1970. */
const timeMaxMs = 8.64e15;
const digits = (width: number, count: number, after: string): readonly string[] =>
  Array.from({ length: count }, (_, value) => String(value).padStart(width, "0") + after);
const secondTexts = digits(2, 60, ".");
const millisecondTexts = digits(3, 1000, "Z");

/** Minutes that were written last, each at its number's remainder: `2026-01-31T23:59:` */
const minutes: { readonly minute: number; readonly text: string }[] = Array.from({ length: 64 }, () => ({
  minute: Number.NaN,
  text: "",
}));

const minuteText = (minute: number): string => {
  const at = ((minute % minutes.length) + minutes.length) % minutes.length;
  const kept = minutes[at];
  if (kept?.minute === minute) return kept.text;
  const text = new Date(minute * millisecondsPerMinute).toISOString().slice(0, -"00.000Z".length);
  minutes[at] = { minute, text };
  return text;
};

/**
 * Epoch milliseconds as `Date.prototype.toISOString` writes them, many times as fast: lists write two for each row.
 * Throws a RangeError for what is no time, as that does.
 */
export const isoTime = (ms: number): string => {
  if (!Number.isInteger(ms) || Math.abs(ms) > timeMaxMs) return new Date(ms).toISOString();
  const minute = Math.floor(ms / millisecondsPerMinute);
  const left = ms - minute * millisecondsPerMinute;
  const second = (left / 1000) | 0;
  return minuteText(minute) + secondTexts[second] + millisecondTexts[left - second * 1000];
};
