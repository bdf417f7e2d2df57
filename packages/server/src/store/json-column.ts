import { StacyError } from "@stacyvm/contract";
import { z } from "zod";
import { type NetworkPolicy, networkModes } from "../sandbox/network-policy.ts";

/** Reads and writes one JSON text column; what does not parse is a damaged row. */
export interface JsonColumn<T> {
  read(text: string): T;
  write(value: T): string;
}

const jsonColumn = <T>(column: string, parse: (value: unknown) => T): JsonColumn<T> => ({
  read: (text) => {
    try {
      return parse(JSON.parse(text));
    } catch (cause) {
      throw new StacyError("internal", `The database column ${column} holds something unreadable.`, { cause });
    }
  },
  write: (value) => JSON.stringify(value),
});

/**
 * A flat map. Written by hand because a record with the key `__proto__` is legal JSON that a schema library may drop,
 * and because every row of a list has one; `null` is read as the empty map, which older databases hold.
 */
const stringMap = (value: unknown): Readonly<Record<string, string>> => {
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw new TypeError("expected an object");
  const map = value as Readonly<Record<string, string>>;
  for (const name of Object.keys(map)) if (typeof map[name] !== "string") throw new TypeError("expected strings");
  return map;
};

/** Texts of maps whose values are kept, and the longest of them, characters. */
const keptMapsMax = 1_024;
const keptMapLengthMax = 1_024;

/** Lists are read again and again, and the same text is the same map: its frozen value is kept. */
export const stringMapColumn = (column: string): JsonColumn<Readonly<Record<string, string>>> => {
  const { read, write } = jsonColumn(column, stringMap);
  const kept = new Map<string, Readonly<Record<string, string>>>();
  return {
    read: (text) => {
      const found = kept.get(text);
      if (found !== undefined) return found;
      const map = Object.freeze(read(text));
      if (text.length > keptMapLengthMax) return map;
      if (kept.size >= keptMapsMax) kept.clear();
      kept.set(text, map);
      return map;
    },
    write,
  };
};

/** Empty text is none. */
export const networkPolicyColumn = (column: string): JsonColumn<NetworkPolicy | undefined> => {
  const rules = z.array(z.string());
  const inject = z.array(
    z.strictObject({ host: z.string(), header: z.string(), secret: z.string(), value: z.string() }),
  );
  const { read, write } = jsonColumn<NetworkPolicy | undefined>(
    column,
    z.strictObject({ mode: z.enum(networkModes), allow: rules, deny: rules, inject: inject.default([]) }).parse,
  );
  return {
    read: (text) => (text === "" ? undefined : read(text)),
    write: (policy) => (policy === undefined ? "" : write(policy)),
  };
};

export const stringListColumn = (column: string): JsonColumn<readonly string[]> =>
  jsonColumn<readonly string[]>(column, z.array(z.string()).parse);

export const secretRefsColumn = (
  column: string,
): JsonColumn<readonly { readonly name: string; readonly injectAt: string }[]> =>
  jsonColumn(column, z.array(z.strictObject({ name: z.string(), injectAt: z.string() })).parse);

export const openMapColumn = (column: string): JsonColumn<Readonly<Record<string, unknown>>> =>
  jsonColumn(column, z.record(z.string(), z.unknown()).parse);
