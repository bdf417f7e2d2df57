import { expect, test } from "vitest";
import { type Kind, landing } from "./landing.ts";

const land = (source: string, kind: Kind, target: string, there: Kind | undefined, isOnly = true) =>
  landing({ text: source, path: source, kind }, { text: target, path: target, kind: there }, isOnly);

test.each<[string, Kind, string, Kind | undefined, string, boolean]>([
  ["a.txt", "file", "b", "directory", "b/a.txt", true],
  ["a.txt", "file", "/", "directory", "/a.txt", true],
  ["x/a.txt", "file", "b", undefined, "b", false],
  ["a.txt", "file", "b", "file", "b", false],
  ["x/", "directory", "b", "directory", "b/x", true],
  ["x", "directory", "b", undefined, "b", false],
  ["x", "directory", "b///", undefined, "b", false],
  ["x/.", "directory", "b", "directory", "b", false],
  [".", "directory", "b", undefined, "b", false],
  ["/", "directory", "b", "directory", "b", false],
])("%s (a %s) to %s (%s) lands at %s", (source, kind, target, there, path, joined) => {
  expect(land(source, kind, target, there)).toEqual({ path, joined });
});

test("several sources need a directory that is there", () => {
  expect(land("a", "file", "b", "directory", false).path).toBe("b/a");
  for (const there of ["file", undefined] as const)
    expect(() => land("a", "file", "b", there, false)).toThrow("b is no directory; several sources need one");
});

test("a folder doesn't take a file's place, and a file no name with a slash at its end", () => {
  expect(() => land("x", "directory", "b", "file")).toThrow("b is a file; the folder x can't take its place");
  expect(() => land("a", "file", "b/", undefined)).toThrow(
    "b/ is no directory; without the slash it is the new file's",
  );
  expect(() => land("a", "file", "b/", "file")).toThrow("b/ is no directory");
});
