import { StacyError } from "@stacyvm/contract";
import type { SandboxPosition } from "../../store/store.ts";

/** Opaque to clients: where the next page begins. Carries nothing that grants anything. */
export const encodeCursor = (position: SandboxPosition): string =>
  Buffer.from(JSON.stringify([position.createdAtMs, position.id])).toString("base64url");

/** Throws invalid_input for what encodeCursor did not make. */
export const decodeCursor = (cursor: string): SandboxPosition => {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (Array.isArray(value) && value.length === 2) {
      const [createdAtMs, id] = value as readonly unknown[];
      if (typeof id === "string" && id.length <= 128 && Number.isSafeInteger(createdAtMs)) {
        return { createdAtMs: createdAtMs as number, id };
      }
    }
  } catch {
    // Answered below, like everything else that is not a cursor.
  }
  throw new StacyError("invalid_input", "invalid input: cursor is not one that this server gave out");
};
