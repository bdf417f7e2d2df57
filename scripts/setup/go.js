import { chmodSync, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { CannotSetUp, read, run, say } from "./run.js";

/** The Go that is obtained where the machine's own is too old; its module's checksum is checked by `go` itself. */
const pinned = "1.26.8";
const least = [1, 26];

const versionOf = (go, cwd) =>
  /go(\d+)\.(\d+)/
    .exec(read(go, ["version"], { cwd }) ?? "")
    ?.slice(1)
    .map(Number);

const isNewEnough = (version, [major, minor]) =>
  version !== undefined && (version[0] > major || (version[0] === major && version[1] >= minor));

const arch = { x64: "amd64", arm64: "arm64" }[process.arch];

/** Path of a Go that can build native/, obtained when the machine has none. */
export function goPath(root) {
  const native = join(root, "native");
  // From 1.21 on, a Go fetches the one that go.mod asks for by itself.
  if (isNewEnough(versionOf("go", native), least)) return "go";
  const cached = join(root, ".cache", "go", `go${pinned}`);
  const own = toolchainIn(cached);
  if (own !== undefined) return own;
  let go = "go";
  if (versionOf(go, root) === undefined) {
    if (process.getuid?.() !== 0)
      throw new CannotSetUp(`Go ${least.join(".")} or newer is missing: see https://go.dev/doc/install`);
    say("installing Debian's Go, which fetches the newer one");
    run("apt-get", ["update", "-q"]);
    run("apt-get", ["install", "-q", "-y", "--no-install-recommends", "golang-go"], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    go = "/usr/bin/go";
  }
  say(`fetching Go ${pinned}`);
  const env = { ...process.env, GOMODCACHE: cached, GOFLAGS: "-modcacherw", GO111MODULE: "on" };
  run(go, ["mod", "download", `golang.org/toolchain@v0.0.1-go${pinned}.linux-${arch}`], { cwd: "/", env });
  const fetched = toolchainIn(cached);
  if (fetched === undefined) throw new Error("the fetched Go is not where it should be");
  return fetched;
}

/** The module comes without executable bits where an old Go unpacked it. */
function toolchainIn(cache) {
  const home = join(cache, "golang.org", `toolchain@v0.0.1-go${pinned}.linux-${arch}`);
  const go = join(home, "bin", "go");
  if (!existsSync(go)) return undefined;
  for (const dir of ["bin", join("pkg", "tool", `linux_${arch}`)]) {
    if (!existsSync(join(home, dir))) continue;
    for (const name of readdirSync(join(home, dir))) {
      const path = join(home, dir, name);
      if (statSync(path).isFile()) chmodSync(path, 0o755);
    }
  }
  return go;
}
