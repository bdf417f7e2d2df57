// Plain JavaScript that Node 20 can start.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { goArch, root } from "./paths.js";
import { outputOf, run } from "./run.js";
import { say } from "./say.js";

const native = join(root, "native");
const build = join(root, "build");

/** File in build/, package, architecture. */
const programs = [
  { file: "stacyvm-agent-amd64", source: "./cmd/stacyvm-agent", arch: "amd64" },
  { file: "stacyvm-agent-arm64", source: "./cmd/stacyvm-agent", arch: "arm64" },
  { file: "stacyvm-host", source: "./cmd/stacyvm-host", arch: goArch },
  { file: "stacyvm-egress", source: "./cmd/stacyvm-egress", arch: goArch },
];

/**
 * Builds the Go programs unless build/ holds what these sources make.
 * @param {string} go
 */
export const buildNative = (go) => {
  mkdirSync(build, { recursive: true });
  const stamp = join(build, ".native-sources");
  const wanted = sourcesHash(go);
  const files = [...programs.map(({ file }) => file), "stacyvm-agent"];
  const isFresh =
    existsSync(stamp) && readFileSync(stamp, "utf8") === wanted && files.every((file) => existsSync(join(build, file)));
  if (isFresh) return;
  say("building the agent, the host program and the egress gateway");
  // A name that a caller's PATH knows must stay one; a path must not depend on the folder.
  const program = go.includes("/") ? resolve(go) : go;
  for (const { file, source, arch } of programs) {
    const temporary = join(build, `.${file}.${process.pid}`);
    run(program, ["build", "-trimpath", "-ldflags=-s -w", "-o", temporary, source], {
      cwd: native,
      env: { ...process.env, CGO_ENABLED: "0", GOOS: "linux", GOARCH: arch, GOFLAGS: "" },
    });
    // Renamed: a running sandbox keeps the file it started with.
    renameSync(temporary, join(build, file));
  }
  const copy = join(build, `.stacyvm-agent.${process.pid}`);
  copyFileSync(join(build, `stacyvm-agent-${goArch}`), copy);
  renameSync(copy, join(build, "stacyvm-agent"));
  writeFileSync(stamp, wanted);
};

/** @param {string} go */
const sourcesHash = (go) => {
  const hash = createHash("sha256").update(outputOf(go, ["version"], { cwd: native }) ?? "");
  for (const file of sourceFiles(native)) {
    const content = readFileSync(file);
    hash.update(`${file.slice(native.length)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
};

/**
 * @param {string} directory
 * @returns {string[]}
 */
const sourceFiles = (directory) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith("_test.go"))
    .map((entry) => join(entry.parentPath ?? entry.path ?? dirname(directory), entry.name))
    .filter((file) => !file.includes("/testdata/"))
    .sort();
