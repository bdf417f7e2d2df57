import { StacyError } from "@stacyvm/contract";

/** Longest owner id, bytes of UTF-8. */
export const ownerIdMaxBytes = 128;

/** The owner id trimmed; throws invalid_input with the texts that existing clients know. */
export function parseOwnerId(value: string): string {
  const owner = value.trim();
  if (Buffer.byteLength(owner) > ownerIdMaxBytes) throw refused(`must be ${ownerIdMaxBytes} characters or fewer`);
  if (/[/\\]/.test(owner)) throw refused("cannot contain path separators");
  for (const character of owner) {
    const code = character.codePointAt(0) ?? 0;
    if (code <= 0x20 || code === 0x7f) throw refused("cannot contain whitespace or control characters");
  }
  return owner;
}

function refused(why: string): StacyError {
  return new StacyError("invalid_input", `invalid input: owner_id ${why}`);
}
