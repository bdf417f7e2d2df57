import { type SandboxSortName, StacyError } from "@stacyvm/contract";
import type { SandboxSummary } from "../../sandbox/sandbox.ts";
import type { SandboxPosition, SandboxSort } from "../../store/store.ts";

/** The order that lists have unless another is asked for; its cursors don't name it. */
const usualSort = "-created_at";

const columns = { created_at: "createdAt", expires_at: "expiresAt", name: "name" } as const;

export const sortOf = (name: SandboxSortName = usualSort): SandboxSort => {
  const descending = name.startsWith("-");
  return { by: columns[(descending ? name.slice(1) : name) as keyof typeof columns], descending };
};

/** Where the page behind a row begins. */
export const positionOf = (row: SandboxSummary, { by }: SandboxSort): SandboxPosition => ({
  value: by === "name" ? row.name : by === "createdAt" ? row.createdAtMs : row.expiresAtMs,
  id: row.id,
});

/** Opaque to clients: where the next page begins. Carries nothing that grants anything. */
export const encodeCursor = ({ value, id }: SandboxPosition, sort: SandboxSortName = usualSort): string =>
  Buffer.from(JSON.stringify(sort === usualSort ? [value, id] : [value, id, sort])).toString("base64url");

/** Throws invalid_input for what encodeCursor did not make, or made for another order. */
export const decodeCursor = (cursor: string, sort: SandboxSortName = usualSort): SandboxPosition => {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (Array.isArray(parsed) && (parsed.length === 2 || parsed.length === 3)) {
      const [value, id, made = usualSort] = parsed as readonly unknown[];
      const isValue = sortOf(sort).by === "name" ? isShortText(value) : Number.isSafeInteger(value);
      if (made === sort && isValue && isShortText(id)) return { value: value as number | string, id };
    }
  } catch {
    // Answered below, like everything else that is not a cursor.
  }
  throw new StacyError("invalid_input", "invalid input: cursor is not one that this server gave out for this order");
};

const isShortText = (value: unknown): value is string => typeof value === "string" && value.length <= 128;
