import fc from "fast-check";
import { expect, test } from "vitest";
import { lastName, parseSide, sideText } from "./sides.ts";

test.each([
  ["sb-0123456789abcdef:/etc/hosts", { kind: "sandbox", id: "sb-0123456789abcdef", path: "/etc/hosts" }],
  ["sb-1:data/a:b", { kind: "sandbox", id: "sb-1", path: "data/a:b" }],
  ["sb-1:", { kind: "sandbox", id: "sb-1", path: "." }],
  ["-", { kind: "stdio" }],
  ["./-", { kind: "local", path: "./-" }],
  ["./sb-1:x", { kind: "local", path: "./sb-1:x" }],
  ["/sb-1:x", { kind: "local", path: "/sb-1:x" }],
  ["folder/sb-1:x", { kind: "local", path: "folder/sb-1:x" }],
  ["sb-1", { kind: "local", path: "sb-1" }],
  [":x", { kind: "local", path: ":x" }],
])("%j is read as %j", (word, side) => {
  expect(parseSide(word)).toEqual(side);
});

test("a colon after what is no sandbox's id is refused with the way to write a local file", () => {
  expect(() => parseSide("a:b")).toThrow(
    "a is no sandbox's id; a local file with a colon in its name is written ./a:b",
  );
  expect(() => parseSide("")).toThrow("an empty path names nothing");
  expect(() => parseSide("a\0b")).toThrow("must not contain NUL");
});

test("a word is local, standard input or output, or a sandbox's path, and reads back as it was written", () => {
  const word = fc.oneof(fc.string({ minLength: 1 }), fc.stringMatching(/^(\.?\/)?(sb-[0-9a-f]{2})?:?[a/.:-]*$/));
  fc.assert(
    fc.property(word, (text) => {
      fc.pre(text !== "" && !text.includes("\0"));
      let side: ReturnType<typeof parseSide>;
      try {
        side = parseSide(text);
      } catch (error) {
        expect(String(error)).toContain("is no sandbox's id");
        expect(/^[./]/.test(text) && text.indexOf("/") < 2 && text.includes("/")).toBe(false);
        return;
      }
      if (/^\.?\//.test(text)) expect(side.kind).toBe("local");
      expect(sideText(side)).toBe(
        side.kind === "sandbox" && text.endsWith(":") && side.path === "." ? `${text}.` : text,
      );
    }),
  );
});

test.each([
  ["a", "a"],
  ["a/b/", "b"],
  ["/", undefined],
  [".", undefined],
  ["a/.", undefined],
  ["a/..", undefined],
])("the name that %j ends with is %j", (path, name) => {
  expect(lastName(path)).toBe(name);
});
