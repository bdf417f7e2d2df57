import { join } from "node:path";
import { expect, test } from "vitest";
import { createPaint } from "./paint.ts";
import { reportText } from "./report.ts";

const golden = (name: string) => join(import.meta.dirname, "../../../test/e2e/golden", `${name}.txt`);

const report = {
  status: "fail",
  findings: [
    { id: "kernel.version", area: "kernel", status: "ok", what: "Linux 6.18.44" },
    {
      id: "kernel.loop",
      area: "kernel",
      status: "warn",
      what: "there are no loop devices, which are the sandboxes' disks",
      remedy: "load them: modprobe loop",
    },
    {
      id: "runtimes.runc-escape",
      area: "runtimes",
      status: "fail",
      what: "runc 1.1.5+ds1-1 is older than its fixed release: open to CVE-2024-21626",
      remedy:
        "update it: apt-get install --only-upgrade runc; where that brings nothing, a newer runc from its project",
    },
    { id: "server.reachable", area: "server", status: "unknown", what: "no server answers\u001b[31m at http://x" },
  ],
} as const;

const utf8 = { LANG: "C.UTF-8", TERM: "xterm" };

test.each([
  ["doctor-plain", false, utf8, undefined],
  ["doctor-ascii", false, { LANG: "C" }, undefined],
  ["doctor-narrow", true, { ...utf8, NO_COLOR: "1" }, 60],
  ["doctor-colour", true, utf8, 100],
] as const)("a report looks as on record: %s", async (name, onTerminal, env, width) => {
  await expect(reportText(report, { paint: createPaint(onTerminal, env), width })).toMatchFileSnapshot(golden(name));
});

test("colour is only for a terminal that can and may show it", () => {
  const paints = (onTerminal: boolean, env: Readonly<Record<string, string>>) =>
    createPaint(onTerminal, env).red("x") !== "x";
  expect(paints(true, utf8)).toBe(true);
  expect(paints(false, utf8)).toBe(false);
  expect(paints(true, { ...utf8, NO_COLOR: "1" })).toBe(false);
  expect(paints(true, { LANG: "C.UTF-8", TERM: "dumb" })).toBe(false);
  expect(paints(true, { ...utf8, NO_COLOR: "" })).toBe(true);
});

test("no line is longer than the terminal, whatever its width, as long as its words aren't", () => {
  for (let width = 80; width <= 200; width += 7) {
    const lines = reportText(report, { paint: createPaint(false, {}), width }).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
  }
});

test("nothing wrong, and warnings alone, are summed up as what they are", () => {
  const last = (findings: readonly (typeof report.findings)[number][]) =>
    reportText({ status: "ok", findings }, { paint: createPaint(false, {}), width: undefined })
      .trimEnd()
      .split("\n")
      .at(-1);
  expect(last(report.findings.slice(0, 1))).toBe("Nothing is wrong.");
  expect(last(report.findings.slice(0, 2))).toBe("Sandboxes can run here; 1 warning.");
  expect(last(report.findings)).toBe("1 failure, 1 warning.");
});
