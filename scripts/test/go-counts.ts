import { type Counts, type Skip, unexplained } from "./counts.ts";

interface GoEvent {
  readonly Action: string;
  readonly Package?: string;
  readonly ImportPath?: string;
  readonly Test?: string;
  readonly Output?: string;
}

const parseLine = (line: string): GoEvent | undefined => {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "Action" in value ? (value as GoEvent) : undefined;
  } catch {
    return undefined;
  }
};

const location = /^\s*\S+\.go:\d+: /;

/** The words given to t.Skip: the last output with a file and line before the verdict. */
const reasonIn = (output: readonly string[]): string =>
  output
    .findLast((line) => location.test(line))
    ?.replace(location, "")
    .trim() || unexplained;

/**
 * Counts the leaves of `go test -json`: a test with subtests is counted by them. A package that fails without a failing
 * test (it doesn't compile, it panics, it has a race) counts as one failure.
 */
export const goCounts = (ndjson: string): Counts => {
  const verdicts = new Map<string, { pkg: string; test: string; action: string }>();
  const outputs = new Map<string, string[]>();
  const failedPackages = new Set<string>();
  for (const line of ndjson.split("\n")) {
    const event = parseLine(line);
    if (event === undefined) continue;
    const pkg = (event.Package ?? event.ImportPath ?? "").replace(/ \[.*\]$/, "");
    const key = `${pkg} ${event.Test ?? ""}`;
    if (event.Action === "output") outputs.set(key, [...(outputs.get(key) ?? []), event.Output ?? ""]);
    if (event.Test === undefined) {
      if (event.Action === "fail" || event.Action === "build-fail") failedPackages.add(pkg);
    } else if (event.Action === "run") verdicts.set(key, { pkg, test: event.Test, action: "fail" });
    else if (["pass", "fail", "skip"].includes(event.Action))
      verdicts.set(key, { pkg, test: event.Test, action: event.Action });
  }
  const parents = new Set(
    [...verdicts.values()].flatMap(({ pkg, test }) => ancestors(test).map((name) => `${pkg} ${name}`)),
  );
  const leaves = [...verdicts].filter(([key]) => !parents.has(key));
  const failing = new Set([...verdicts.values()].filter(({ action }) => action === "fail").map(({ pkg }) => pkg));
  const failedLeaves = new Set(leaves.filter(([, { action }]) => action === "fail").map(([, { pkg }]) => pkg));
  const silent = [...new Set([...failedPackages, ...failing])].filter((pkg) => !failedLeaves.has(pkg));
  const skips: Skip[] = leaves
    .filter(([, { action }]) => action === "skip")
    .map(([key]) => ({ name: key, reason: reasonIn(outputs.get(key) ?? []) }));
  return {
    passed: leaves.filter(([, { action }]) => action === "pass").length,
    failed: leaves.filter(([, { action }]) => action === "fail").length + silent.length,
    skips,
    seen: leaves.map(([key]) => key),
  };
};

const ancestors = (test: string): string[] => {
  const parts = test.split("/");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
};

/** The human part of `go test -json`: what `go test` would have printed. */
export const goOutput = (ndjson: string): string =>
  ndjson
    .split("\n")
    .map((line) => {
      const event = parseLine(line);
      if (event === undefined) return line === "" ? "" : `${line}\n`;
      return ["output", "build-output"].includes(event.Action) ? (event.Output ?? "") : "";
    })
    .join("");
