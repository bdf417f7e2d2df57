// Builds the native programs and the client library, only what has changed. Plain JavaScript for Node 20.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { goPath } from "./setup/go.js";
import { CannotSetUp, run, say } from "./setup/run.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const out = join(root, "build");
const hostArch = { x64: "amd64", arm64: "arm64" }[process.arch];

const filesBelow = (dir) =>
  readdirSync(dir, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) return ["node_modules", "dist", "testdata"].includes(entry.name) ? [] : filesBelow(path);
      return entry.isFile() && !entry.name.endsWith("_test.go") ? [path] : [];
    });

/** Does the work unless the same content was built before. */
function whenChanged(name, dirs, outputs, work) {
  const hash = createHash("sha256");
  for (const path of dirs.flatMap(filesBelow))
    hash.update(path.slice(root.length)).update("\0").update(readFileSync(path));
  const digest = hash.digest("hex");
  const stamp = join(out, `.${name}-hash`);
  const isBuilt = outputs.every((path) => existsSync(path));
  if (isBuilt && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  say(`building ${name}`);
  work();
  writeFileSync(stamp, digest);
}

function buildNative() {
  const go = goPath(root);
  for (const arch of ["amd64", "arm64"]) {
    const env = { ...process.env, CGO_ENABLED: "0", GOOS: "linux", GOARCH: arch };
    for (const program of ["stacyvm-agent", "stacyvm-host"]) {
      const target = join(out, `${program}-${arch}`);
      // A running server may have the old file open: the new one takes its name.
      run(go, ["build", "-trimpath", "-ldflags=-s -w", "-o", `${target}.new`, `./cmd/${program}`], {
        cwd: join(root, "native"),
        env,
      });
      renameSync(`${target}.new`, target);
      if (arch !== hostArch) continue;
      copyFileSync(target, join(out, `${program}.new`));
      renameSync(join(out, `${program}.new`), join(out, program));
    }
  }
}

/** Everything that running from a clone needs. */
export function build() {
  mkdirSync(out, { recursive: true });
  const programs = ["stacyvm-agent", "stacyvm-host"].map((name) => join(out, name));
  whenChanged("native", [join(root, "native")], programs, buildNative);
  const sdk = join(root, "packages", "sdk");
  const builder = join(sdk, "scripts", "build.ts");
  if (existsSync(builder)) {
    whenChanged("sdk", [sdk], [join(sdk, "dist", "index.js")], () => {
      run(join(root, "node_modules", ".bin", "node"), [builder], { cwd: sdk });
    });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    build();
  } catch (error) {
    console.error(`build: ${error.message}`);
    process.exitCode = error instanceof CannotSetUp ? 3 : 1;
  }
}
