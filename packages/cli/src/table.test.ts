import { expect, test } from "vitest";
import { table } from "./table.ts";

const rows = [
  ["ID", "IMAGE", "CREATED"],
  ["sb-0123456789abcdef", "registry.example.com/team/python:3.13-slim", "12:00:00"],
];

test("without a width columns are as wide as their widest cell, and nothing stands after the last", () => {
  expect(table(rows, { elastic: [1], width: undefined })).toBe(
    "ID                   IMAGE                                       CREATED\n" +
      "sb-0123456789abcdef  registry.example.com/team/python:3.13-slim  12:00:00",
  );
});

test("a cell stays in its row and its column, whatever it holds", () => {
  const text = table(
    [
      ["NAME", "ROLE"],
      ["eve\nann\troot\u2028x\r", "viewer"],
    ],
    { elastic: [0], width: undefined },
  );
  expect(text.split("\n")).toEqual(["NAME             ROLE", "eve\ufffdann\ufffdroot\ufffdx\ufffd  viewer"]);
});

test.each([60, 50])("in %i columns the elastic column gives way in its middle", (width) => {
  const lines = table(rows, { elastic: [1], width }).split("\n");
  expect(lines[1]).toHaveLength(width);
  expect(lines[1]).toMatch(/^sb-0123456789abcdef {2}registry\S*…\S*slim {2}12:00:00$/);
});

test("a terminal too narrow for the rest still shows something of a name", () => {
  expect(table(rows, { elastic: [1], width: 20 }).split("\n")[1]).toBe("sb-0123456789abcdef  regis…3-slim  12:00:00");
});

const processes = [
  ["PROCESS", "STATE", "EXIT", "LIVING", "TAG", "COMMAND"],
  [
    "pr-0123456789abcdef",
    "background",
    "0",
    "2",
    "a-tag-that-is-rather-long-for-a-table",
    "sh -c npm run dev -- --port 3000",
  ],
  ["pr-0123456789abcde0", "running", "-", "1", "宽字符", "sleep 100"],
];
const narrow = (width: number) => table(processes, { elastic: [5, 4], expendable: [3], cut: "end", width }).split("\n");

test("several columns give way one after the other, cut where they tell least", () => {
  expect(narrow(90)).toEqual([
    "PROCESS              STATE       EXIT  LIVING  TAG                            COMMAND",
    "pr-0123456789abcdef  background  0     2       a-tag-that-is-rather-long-fo…  sh -c npm r…",
    "pr-0123456789abcde0  running     -     1       宽字符                         sleep 100",
  ]);
});

test("a terminal too narrow for all columns is spared the expendable ones", () => {
  expect(narrow(70)).toEqual([
    "PROCESS              STATE       EXIT  TAG                COMMAND",
    "pr-0123456789abcdef  background  0     a-tag-that-is-ra…  sh -c npm r…",
    "pr-0123456789abcde0  running     -     宽字符             sleep 100",
  ]);
});

test("a wide character is never cut in half", () => {
  const rows = [["宽字符宽字符宽字符宽字符", "x"]];
  expect(table(rows, { elastic: [0], cut: "end", width: 15 })).toBe("宽字符宽字…   x");
  expect(table(rows, { elastic: [0], width: 15 })).toBe("宽字…宽字符   x");
});

test("a column that isn't shown gives no room to the others", () => {
  const rows = [["name", "a long column that goes first", "some more words that give way"]];
  const layout = { elastic: [1, 2], expendable: [1], cut: "end", width: 18 } as const;
  expect(table(rows, layout)).toBe("name  some more w…");
  expect(table([[...(rows[0] ?? []), "last"]], { ...layout, expendable: [1, 3] })).toBe("name  some more w…");
});
