import { isAbsolute, resolve } from "node:path";
import { formatDuration, parseDuration } from "../lib/duration.ts";
import { type FreeFloor, parseFreeFloor } from "../lib/free-floor.ts";
import { Secret } from "../lib/secret.ts";
import { formatSize, parseSize } from "../lib/size.ts";
import { ValueProblem } from "./problem.ts";

/** What a relative path is relative to. */
export interface Place {
  readonly cwd: string;
  readonly home: string;
}

/** One key: its type, what it is when nobody sets it, and how a value from a file or the environment is read. */
export interface Setting<T> {
  /** Of the reference: "text", "duration" … */
  readonly type: string;
  readonly fallback: T;
  /** The default as the reference shows it. */
  readonly shown: string;
  readonly description: string;
  /** The property's name ends in this, the key's doesn't. */
  readonly suffix?: "Ms" | "Bytes";
  /** The value may be given as the name of a file instead, under the key with `_file`. */
  readonly fromFile?: boolean;
  /** The value must not be known to others. */
  readonly secret?: true;
  /** Throws ValueProblem. */
  read(raw: unknown, key: string, place: Place): T;
}

const scalar = (raw: unknown, key: string, wanted: string): string => {
  if (typeof raw === "string") return raw;
  if (typeof raw === "number" || typeof raw === "boolean" || typeof raw === "bigint") return String(raw);
  throw new ValueProblem(`${key} must be ${wanted}`);
};

export const text = (fallback: string, description: string, shown = fallback): Setting<string> => ({
  type: "text",
  fallback,
  shown,
  description,
  read: (raw, key) => scalar(raw, key, "text"),
});

/** A path; made absolute against the working directory, `~/` against the home directory. Empty stays empty. */
export const path = (fallback: string, description: string, shown = fallback): Setting<string> => ({
  type: "path",
  fallback,
  shown,
  description,
  read: (raw, key, { cwd, home }) => {
    const value = scalar(raw, key, "a path");
    if (value === "" || isAbsolute(value) || value === ":memory:") return value;
    return value.startsWith("~/") ? resolve(home, value.slice(2)) : resolve(cwd, value);
  },
});

export const flag = (fallback: boolean, description: string): Setting<boolean> => ({
  type: "boolean",
  fallback,
  shown: String(fallback),
  description,
  read: (raw, key) => {
    const value = scalar(raw, key, "true or false").toLowerCase();
    if (["true", "t", "1"].includes(value)) return true;
    if (["false", "f", "0"].includes(value)) return false;
    throw new ValueProblem(`${key} must be true or false`);
  },
});

/** Like flag, and knows whether anybody set it. */
export const optionalFlag = (shown: string, description: string): Setting<boolean | undefined> => ({
  ...flag(false, description),
  fallback: undefined,
  shown,
});

/** A whole number; not negative unless a least value says so. */
export const integer = (
  fallback: number,
  description: string,
  { least = 0, most = 2 ** 31 - 1 }: { readonly least?: number; readonly most?: number } = {},
): Setting<number> => ({
  type: "integer",
  fallback,
  shown: String(fallback),
  description,
  read: (raw, key) => {
    const value = scalar(raw, key, "a whole number").trim();
    if (!/^[+-]?[0-9]+$/.test(value)) throw new ValueProblem(`${key} must be a whole number`);
    const number = Number(value);
    if (number < 0 && least === 0) throw new ValueProblem(`${key} cannot be negative`);
    if (number < least || number > most) throw new ValueProblem(`${key} must be between ${least} and ${most}`);
    return number;
  },
});

/** A number that may have a fraction. */
export const decimal = (fallback: number, description: string): Setting<number> => ({
  type: "number",
  fallback,
  shown: String(fallback),
  description,
  read: (raw, key) => {
    const value = scalar(raw, key, "a number").trim();
    if (!/^[0-9]+(\.[0-9]+)?$/.test(value)) throw new ValueProblem(`${key} must be a number, zero or more`);
    return Number(value);
  },
});

/** A day more than what a timer, or a column, could not count. */
const maxDurationMs = 100 * 365 * 86_400_000;

/** Whole milliseconds; a part of one counts as one. */
export const duration = (
  fallbackMs: number,
  description: string,
  { leastMs = 0 }: { readonly leastMs?: number } = {},
): Setting<number> => ({
  type: "duration",
  fallback: fallbackMs,
  shown: formatDuration(fallbackMs),
  description,
  suffix: "Ms",
  read: (raw, key) => {
    const hint = 'Write it like "30s", "1h30m" or "0s".';
    let ms: number;
    try {
      ms = parseDuration(scalar(raw, key, "a valid duration").trim());
    } catch (error) {
      if (error instanceof ValueProblem) throw error;
      throw new ValueProblem(`${key} must be a valid duration: ${(error as Error).message}`, hint);
    }
    if (ms < 0) throw new ValueProblem(`${key} cannot be negative`, hint);
    if (ms < leastMs) throw new ValueProblem(`${key} must be at least ${formatDuration(leastMs)}`);
    if (ms > maxDurationMs) throw new ValueProblem(`${key} must be at most ${formatDuration(maxDurationMs)}`);
    return Math.ceil(ms);
  },
});

export const size = (fallbackBytes: number, description: string): Setting<number> => ({
  type: "size",
  fallback: fallbackBytes,
  shown: formatSize(fallbackBytes),
  description,
  suffix: "Bytes",
  read: (raw, key) => {
    try {
      return parseSize(scalar(raw, key, "a size"));
    } catch (error) {
      if (error instanceof ValueProblem) throw error;
      throw new ValueProblem(
        `${key} must be a valid size: ${(error as Error).message}`,
        'Write it like "512m" or "1g".',
      );
    }
  },
});

/** How much of a disk stays free. */
export const freeFloor = (fallback: string, description: string): Setting<FreeFloor> => ({
  type: "size and/or percentage",
  fallback: parseFreeFloor(fallback),
  shown: fallback,
  description,
  read: (raw, key) => {
    try {
      return parseFreeFloor(scalar(raw, key, "a size, a percentage, or both"));
    } catch (error) {
      if (error instanceof ValueProblem) throw error;
      const hint = 'Write it like "2g", "5%", "2g,5%" (the lesser counts) or "0".';
      throw new ValueProblem(`${key} must be a size, a percentage, or both: ${(error as Error).message}`, hint);
    }
  },
});

const either = (values: readonly string[]): string =>
  values.length < 3 ? values.join(" or ") : `${values.slice(0, -1).join(", ")}, or ${values.at(-1)}`;

export const choice = <const T extends string>(
  fallback: NoInfer<T>,
  values: readonly T[],
  description: string,
): Setting<T> => ({
  type: values.join(" \\| "),
  fallback,
  shown: fallback,
  description,
  read: (raw, key) => {
    const value = scalar(raw, key, either(values)).toLowerCase();
    const found = values.find((item) => item === value);
    if (found === undefined) throw new ValueProblem(`${key} must be ${either(values)}`);
    return found;
  },
});

const texts = (raw: unknown, key: string): string[] => {
  if (raw === null) return [];
  const items = Array.isArray(raw) ? raw.map((item) => scalar(item, key, "a list of texts")) : undefined;
  return (items ?? scalar(raw, key, "a list of texts").split(","))
    .map((item) => item.trim())
    .filter((item) => item !== "");
};

export const list = (
  fallback: readonly string[],
  description: string,
  shown = fallback.length === 0 ? "[]" : fallback.join(","),
): Setting<readonly string[]> => ({
  type: "list",
  fallback,
  shown,
  description,
  read: texts,
});

/** In a file one stands on each line. */
export const secretList = (description: string): Setting<readonly Secret[]> => ({
  type: "list of secrets",
  secret: true,
  fallback: [],
  shown: "[]",
  description,
  fromFile: true,
  read: (raw, key) => {
    const lines = typeof raw === "string" ? raw.replaceAll(/[\r\n]+/g, ",") : raw;
    return texts(lines, key).map((value) => new Secret(value));
  },
});

const pairs = (raw: unknown, key: string): Record<string, string> => {
  const wrong = () =>
    new ValueProblem(`${key} must be a map of texts`, 'Write it as JSON, or as "name=value,name=value".');
  let value = raw ?? {};
  if (typeof value === "string") {
    const written = value.trim();
    if (written.startsWith("{")) {
      try {
        value = JSON.parse(written);
      } catch {
        throw wrong();
      }
    } else {
      const parts = written.split(",").filter((part) => part.trim() !== "");
      if (parts.some((part) => part.indexOf("=") < 1)) throw wrong();
      return Object.fromEntries(
        parts.map((part) => [part.slice(0, part.indexOf("=")).trim(), part.slice(part.indexOf("=") + 1).trim()]),
      );
    }
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong();
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, scalar(item, key, "a map of texts")]));
};

export const map = (description: string): Setting<Readonly<Record<string, string>>> => ({
  type: "map",
  fallback: {},
  shown: "{}",
  description,
  read: pairs,
});

export const secretMap = (description: string): Setting<Readonly<Record<string, Secret>>> => ({
  type: "map of secrets",
  secret: true,
  fallback: {},
  shown: "{}",
  description,
  fromFile: true,
  read: (raw, key) =>
    Object.fromEntries(Object.entries(pairs(raw, key)).map(([name, item]) => [name, new Secret(item)])),
});

/** Empty is the same as not set. */
export const secret = (description: string): Setting<Secret | undefined> => ({
  type: "secret",
  secret: true,
  fallback: undefined,
  shown: "",
  description,
  fromFile: true,
  read: (raw, key) => {
    const value = scalar(raw, key, "text").trim();
    return value === "" ? undefined : new Secret(value);
  },
});

/** Text that may be kept in a file. */
export const document = (description: string): Setting<string> => ({ ...text("", description), fromFile: true });
