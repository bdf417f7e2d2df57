import { StacyError } from "@stacyvm/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatReference, normaliseReference, parseReference } from "./references.ts";

const digest = `sha256:${"a".repeat(64)}`;

test.each([
  ["alpine", "docker.io/library/alpine:latest"],
  ["alpine:3.20", "docker.io/library/alpine:3.20"],
  ["me/app", "docker.io/me/app:latest"],
  ["docker.io/alpine", "docker.io/library/alpine:latest"],
  ["index.docker.io/me/app:1", "docker.io/me/app:1"],
  ["localhost:5000", "docker.io/library/localhost:5000"],
  ["localhost/app", "localhost/app:latest"],
  ["localhost:5000/app:v1", "localhost:5000/app:v1"],
  ["GHCR.io/a/b", "ghcr.io/a/b:latest"],
  ["127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"],
  ["[::1]:5000/a", "[::1]:5000/a:latest"],
  [`alpine@${digest}`, `docker.io/library/alpine@${digest}`],
  [`alpine:3@${digest}`, `docker.io/library/alpine:3@${digest}`],
])("%s is stored as %s", (text, normal) => {
  expect(normaliseReference(text)).toBe(normal);
});

test.each([
  "",
  "Alpine",
  "alpine:",
  "alpine: latest",
  "-alpine",
  "alpine@sha256:short",
  `alpine@${digest}@${digest}`,
  `alpine@sha512:${"a".repeat(128)}`,
  "alpine:latest\n",
  "a//b",
  "../etc/passwd",
  "docker://alpine",
  "localhost:0/a",
  "localhost:65536/a",

  "user:pw@host.example/a",
  "host.example/a b",
  "--help",
  "a\0b",
  `a/${"b".repeat(300)}`,
  "x".repeat(600),
  `a:${"t".repeat(129)}`,
])("%j is refused with the reason", (text) => {
  expect(() => parseReference(text)).toThrow(StacyError);
  expect(() => parseReference(text)).toThrow(/is not an image reference: ./);
});

test("a normalised reference normalises to itself, and no accepted one can look like an option", () => {
  const label = fc.stringMatching(/^[a-z0-9]{1,12}$/);
  const repository = fc
    .tuple(label, fc.array(fc.tuple(fc.constantFrom(".", "_", "__", "-", "--", "/"), label), { maxLength: 5 }))
    .map(([first, rest]) => first + rest.flat().join(""));
  const host = fc.option(fc.constantFrom("localhost", "localhost:5000", "r.example", "r.example:1", "[::1]:80"));
  const tag = fc.option(fc.stringMatching(/^\w[\w.-]{0,20}$/));
  const pin = fc.option(fc.constant(digest));
  fc.assert(
    fc.property(host, repository, tag, pin, (h, r, t, p) => {
      fc.pre(h !== null || !/^[^/]*\..*\//.test(r)); // Would be read as a registry.
      const text = `${h === null ? "" : `${h}/`}${r}${t === null ? "" : `:${t}`}${p === null ? "" : `@${p}`}`;
      const normal = normaliseReference(text);
      expect(normaliseReference(normal)).toBe(normal);
      expect(formatReference(parseReference(normal))).toBe(normal);
      expect(normal).toMatch(/^[a-z0-9[]/);
    }),
  );
});

test("any text is either refused with invalid_input or becomes a normal form without spaces and control bytes", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 80, unit: "binary" }), (text) => {
      try {
        expect(normaliseReference(text)).toMatch(/^[\x21-\x7e]+$/);
      } catch (error) {
        expect(error).toBeInstanceOf(StacyError);
        expect((error as StacyError).reason).toBe("invalid_input");
      }
    }),
  );
});
