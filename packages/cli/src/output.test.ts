import { expect, test } from "vitest";
import { table } from "./output.ts";

const rows = [
  ["ID", "IMAGE", "CREATED"],
  ["sb-0123456789abcdef", "registry.example.com/team/python:3.13-slim", "12:00:00"],
];

test("without a width columns are as wide as their widest cell, and nothing stands after the last", () => {
  expect(table(rows, { elastic: 1, width: undefined })).toBe(
    "ID                   IMAGE                                       CREATED\n" +
      "sb-0123456789abcdef  registry.example.com/team/python:3.13-slim  12:00:00",
  );
});

test.each([60, 50])("in %i columns the elastic column gives way in its middle", (width) => {
  const lines = table(rows, { elastic: 1, width }).split("\n");
  expect(lines[1]).toHaveLength(width);
  expect(lines[1]).toMatch(/^sb-0123456789abcdef {2}registry\S*…\S*slim {2}12:00:00$/);
});

test("a terminal too narrow for the rest still shows something of a name", () => {
  expect(table(rows, { elastic: 1, width: 20 }).split("\n")[1]).toBe("sb-0123456789abcdef  regis…3-slim  12:00:00");
});
