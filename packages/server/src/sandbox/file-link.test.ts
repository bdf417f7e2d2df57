import fc from "fast-check";
import { expect, test } from "vitest";
import { type FileLink, isFileLinkSignedBy, signFileLink } from "./file-link.ts";

const link = fc.record<FileLink>({
  sandboxId: fc.string(),
  operation: fc.constantFrom("read", "write"),
  path: fc.string(),
  expiresAtS: fc.nat(),
});

test("a signature holds for its own link under its own key and for no other", () => {
  fc.assert(
    fc.property(link, link, fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (one, other, key, otherKey) => {
      const signature = signFileLink(key, one);
      const same = JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
      expect(isFileLinkSignedBy(key, one, signature)).toBe(true);
      expect(isFileLinkSignedBy(key, other, signature)).toBe(same);
      expect(isFileLinkSignedBy(otherKey, one, signature)).toBe(key === otherKey);
    }),
  );
});

test("a signature that differs only in bits that base64url ignores is another signature", () => {
  const one: FileLink = { sandboxId: "sb-1", operation: "read", path: "/a", expiresAtS: 1 };
  const signature = signFileLink("key", one);
  const bytes = (text: string) => Buffer.from(text.slice(3), "base64url");
  const alike = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
    .map((last) => signature.slice(0, -1) + last)
    .filter((text) => text !== signature && bytes(text).equals(bytes(signature)));
  expect(alike).toHaveLength(3);
  for (const text of alike) expect(isFileLinkSignedBy("key", one, text)).toBe(false);
});
