const units = ["b", "k", "m", "g", "t"];

/**
 * Bytes of a size such as "512m", "1.5g", "64KiB" or "1024"; units are powers of 1024 and may be followed by `b` or
 * `ib`. Throws an Error when it is none, is negative or above what a number counts exactly.
 */
export const parseSize = (text: string): number => {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*(?:b|([kmgt])(?:i?b)?)?$/i.exec(text.trim());
  if (match === null) throw new Error(`invalid size ${JSON.stringify(text)}`);
  const bytes = Number(match[1]) * 1024 ** units.indexOf((match[2] ?? "b").toLowerCase());
  if (!Number.isSafeInteger(Math.round(bytes))) throw new Error(`size ${JSON.stringify(text)} is too large`);
  return Math.round(bytes);
};

/** The shortest exact form, which parseSize reads back: "512m", "1g", "1025". */
export const formatSize = (bytes: number): string => {
  let value = bytes;
  let unit = 0;
  while (value > 0 && value % 1024 === 0 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? String(value) : `${value}${units[unit]}`;
};
