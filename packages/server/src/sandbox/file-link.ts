import { createHmac, timingSafeEqual } from "node:crypto";

/** What a signed link permits. */
export interface FileLink {
  readonly sandboxId: string;
  readonly operation: "read" | "write";
  /** Absolute. */
  readonly path: string;
  /** Whole seconds since 1970. */
  readonly expiresAtS: number;
}

const version = "v1_";

/** HMAC-SHA256 over a JSON array, in which no two links are spelled alike. */
export const signFileLink = (key: string, { sandboxId, operation, path, expiresAtS }: FileLink): string => {
  const text = JSON.stringify(["stacyvm file link", sandboxId, operation, path, expiresAtS]);
  return `${version}${createHmac("sha256", key).update(text).digest("base64url")}`;
};

/** Compared as text, in constant time: the last character has bits that base64url ignores. */
export const isFileLinkSignedBy = (key: string, link: FileLink, signature: string): boolean => {
  const expected = Buffer.from(signFileLink(key, link));
  const sent = Buffer.from(signature);
  return sent.length === expected.length && timingSafeEqual(sent, expected);
};
