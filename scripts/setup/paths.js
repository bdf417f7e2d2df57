// Plain JavaScript that Node 20 can start.
import { existsSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { outputOf } from "./run.js";

/** The repository. */
export const root = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");

/** Major version of Node that the programs are written for. */
export const nodeMajor = 24;
/** Go that the native programs are built with where the machine brings none; newer ones do as well. */
export const goToolchain = "1.26.8";
/** Oldest Go that builds native/ itself, and the oldest that fetches a newer one by itself. */
const goBuilds = [1, 26];
const goFetches = [1, 21];

/**
 * A Node that runs TypeScript: the one among the dependencies, else this one.
 * @returns {string | undefined} undefined where neither will do
 */
export const nodePath = () => {
  const bundled = join(root, "node_modules", `node-linux-${process.arch}`, "bin", "node");
  if (existsSync(bundled)) return bundled;
  return Number(process.versions.node.split(".")[0]) >= nodeMajor ? process.execPath : undefined;
};

/**
 * The environment in which the dependencies' programs find one another and that Node.
 * @param {string} node
 */
export const withDependencies = (node) => ({
  ...process.env,
  PATH: [dirname(node), join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter),
});

/** Where a toolchain obtained as a Go module lies. */
export const goCache = join(root, ".cache", "go");
export const goArch = process.arch === "x64" ? "amd64" : process.arch;
export const cachedGo = join(
  goCache,
  "pkg",
  "mod",
  "golang.org",
  `toolchain@v0.0.1-go${goToolchain}.linux-${goArch}`,
  "bin",
  "go",
);

/**
 * @param {string} program
 * @returns {readonly [number, number] | undefined} major and minor
 */
export const goVersion = (program) => {
  // GOTOOLCHAIN=local: what this program itself is, not what go.mod would make it fetch.
  const text = outputOf(program, ["version"], { cwd: "/", env: { ...process.env, GOTOOLCHAIN: "local" } });
  const match = /go(\d+)\.(\d+)/.exec(text ?? "");
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
};

/**
 * @param {readonly [number, number] | undefined} found
 * @param {readonly number[]} least
 */
const atLeast = (found, least) =>
  found !== undefined && (found[0] > least[0] || (found[0] === least[0] && found[1] >= least[1]));

/**
 * A Go that builds native/: the PATH's, the usual place's, or the obtained one.
 * @param {{ mayFetch?: boolean }} [options] accept one that is old, but fetches a newer one by itself
 * @returns {string | undefined}
 */
export const goPath = ({ mayFetch = false } = {}) => {
  const candidates = ["go", "/usr/local/go/bin/go", cachedGo];
  const least = mayFetch ? goFetches : goBuilds;
  return candidates.find((program) => atLeast(goVersion(program), least));
};
