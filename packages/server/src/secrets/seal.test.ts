import fc from "fast-check";
import { expect, test } from "vitest";
import { Secret } from "../lib/secret.ts";
import { createSealer } from "./seal.ts";

const key = (letter: string): Secret => new Secret(letter.repeat(40));

const sealer = createSealer(new Secret("k".repeat(40)));

test("what is sealed comes back as it was, and is never sealed twice alike", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string(), (text, about) => {
      const sealed = sealer.seal(new Secret(text), about);
      expect(sealer.open(sealed, about).reveal()).toBe(text.toWellFormed());
      expect(sealer.seal(new Secret(text), about)).not.toBe(sealed);
    }),
  );
});

test("what was moved, changed, cut or sealed with another key doesn't open, and shows nothing of itself", () => {
  const sealed = sealer.seal(new Secret("hunter2"), "acme registry.example.com");
  expect(sealed).not.toContain("hunter2");
  expect(() => sealer.open(sealed, "rival registry.example.com")).toThrow();
  expect(() => createSealer(new Secret("x".repeat(40))).open(sealed, "acme registry.example.com")).toThrow(
    "another key",
  );
  const [head, name, text = ""] = sealed.split(".");
  for (let at = 0; at < Buffer.from(text, "base64url").length; at++) {
    const bytes = Buffer.from(text, "base64url");
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    expect(() =>
      sealer.open([head, name, bytes.toString("base64url")].join("."), "acme registry.example.com"),
    ).toThrow();
    const cut = Buffer.from(text, "base64url").subarray(0, at);
    expect(() => sealer.open([head, name, cut.toString("base64url")].join("."), "acme registry.example.com")).toThrow();
  }
});

test("a previous key opens what it sealed and seals nothing; a key that is neither doesn't open it", () => {
  const before = sealer.seal(new Secret("hunter2"), "here");
  const rotated = createSealer(key("n"), [key("o"), key("k")]);
  expect(rotated.open(before, "here").reveal()).toBe("hunter2");
  expect(() => rotated.open(before, "elsewhere")).toThrow();
  expect(rotated.isCurrent(before)).toBe(false);
  const after = rotated.seal(new Secret("hunter2"), "here");
  expect(rotated.isCurrent(after)).toBe(true);
  expect(createSealer(key("n")).open(after, "here").reveal()).toBe("hunter2");
  expect(() => sealer.open(after, "here")).toThrow("another key");
});
