import type { Finding, Report, Status } from "@stacyvm/server/doctor";
import { printable } from "./output.ts";
import type { Paint } from "./paint.ts";

export interface ReportLayout {
  readonly paint: Paint;
  /** Characters of a line; undefined for no limit. */
  readonly width: number | undefined;
}

const words: Readonly<Record<Status, string>> = { ok: "ok", warn: "warn", fail: "FAIL", unknown: "?" };
const indent = "        ";

/** What was found, area by area, each with what to do about it, and a line that counts them. */
export function reportText(report: Report, { paint, width }: ReportLayout): string {
  const colour: Readonly<Record<Status, (text: string) => string>> = {
    ok: paint.green,
    warn: paint.yellow,
    fail: paint.red,
    unknown: paint.dim,
  };
  const lines: string[] = [];
  for (const [area, findings] of Map.groupBy(report.findings, (finding) => finding.area)) {
    if (lines.length > 0) lines.push("");
    lines.push(paint.bold(area));
    for (const { status, what, remedy } of findings) {
      const [first = "", ...rest] = wrapped(printable(what), width);
      lines.push(`  ${colour[status](words[status].padEnd(4))}  ${first}`, ...rest.map((line) => indent + line));
      if (remedy === undefined) continue;
      const [start = "", ...more] = wrapped(printable(remedy), width, paint.arrow.length + 1);
      const deeper = indent + " ".repeat(paint.arrow.length + 1);
      lines.push(`${indent}${paint.dim(paint.arrow)} ${start}`, ...more.map((line) => deeper + line));
    }
  }
  return `${[...lines, "", summary(report.findings)].join("\n")}\n`;
}

/** Lines that fit beside the indent; words are never cut. */
function wrapped(text: string, width: number | undefined, deeper = 0): readonly string[] {
  const room = width === undefined ? Number.POSITIVE_INFINITY : Math.max(20, width - indent.length - deeper);
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function summary(findings: readonly Finding[]): string {
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length;
  const [failures, warnings] = [count("fail"), count("warn")];
  const plural = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  if (failures > 0) return `${plural(failures, "failure")}, ${plural(warnings, "warning")}.`;
  return warnings === 0 ? "Nothing is wrong." : `Sandboxes can run here; ${plural(warnings, "warning")}.`;
}
