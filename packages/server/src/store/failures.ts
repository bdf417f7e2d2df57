import { StacyError } from "@stacyvm/contract";
import type { Database } from "./database.ts";

type Method = (...args: never[]) => Promise<unknown>;

/** The catalogue's error for whatever a driver threw; the driver's own text stays in `cause`. */
export const toStacyError = (error: unknown, database: Pick<Database, "classify">, noun: string): StacyError => {
  if (error instanceof StacyError) return error;
  const kind = database.classify(error);
  if (kind === "unique") return new StacyError("already_exists", `conflict: ${noun} already exists`, { cause: error });
  if (kind === "unavailable") {
    return new StacyError("store_unavailable", "the database does not answer", { cause: error });
  }
  return new StacyError("internal", "the database refused a statement", { cause: error });
};

/** The same methods, which throw nothing but the catalogue's errors. */
export const guarded = <T extends object>(methods: T, database: Pick<Database, "classify">, noun: string): T =>
  Object.fromEntries(
    Object.entries(methods).map(([name, method]: [string, Method]) => [
      name,
      async (...args: never[]) => {
        try {
          return await method(...args);
        } catch (error) {
          throw toStacyError(error, database, noun);
        }
      },
    ]),
  ) as T;
