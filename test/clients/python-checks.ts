import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const drive = join(import.meta.dirname, "python", "drive.py");

/** Of what a client of version 0.1 is checked for. */
export const checkNames: readonly string[] = JSON.parse(
  execFileSync("python3", ["-B", drive, "--list"], { encoding: "utf8" }),
);

export interface Report {
  readonly name: string;
  readonly ok: boolean;
  readonly error?: string;
}

/** Runs the checks with the client that the Python has, in their order. */
export const runChecks = async (
  python: string,
  url: string,
  apiKey: string,
  provider: string,
): Promise<ReadonlyMap<string, Report>> => {
  const child = spawn(python, ["-B", drive, url, apiKey, provider], { stdio: ["ignore", "pipe", "inherit"] });
  const closed = new Promise((resolve) => child.once("close", resolve));
  const [output] = await Promise.all([text(child.stdout), closed]);
  const reports: readonly Report[] = output
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return new Map(reports.map((report) => [report.name, report]));
};
