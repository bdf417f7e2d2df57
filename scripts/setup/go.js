// Plain JavaScript that Node 20 can start.
import { chmodSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensurePackages } from "./apt.js";
import { cachedGo, goArch, goCache, goPath, goToolchain, goVersion } from "./paths.js";
import { outputOf } from "./run.js";
import { SetupStop, say } from "./say.js";

/** Go's own directory hash of each toolchain module, as go.sum would hold it. */
const toolchainSums = {
  amd64: "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=",
  arm64: "h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=",
};

/** What brings a Go that fetches the pinned one. */
export const goPackage = { "golang-go": `fetches Go ${goToolchain}, which builds the agent` };

/** One that is there, or undefined. */
export const findGo = () => goPath() ?? goPath({ mayFetch: true });

/**
 * A Go that builds the native programs. Where there is none, the distribution's fetches the pinned toolchain: by itself from
 * Go 1.21 on, which then checks it against the checksum database; an older one as a module, whose hash is compared with the
 * one written here.
 * @returns {string} the program
 */
export const ensureGo = () => {
  const found = findGo();
  if (found !== undefined) return found;
  if (goVersion("go") === undefined) {
    ensurePackages(goPackage);
    const installed = findGo();
    if (installed !== undefined) return installed;
  }
  say(`fetching Go ${goToolchain}, which builds the agent, as a module into .cache/go`);
  fetchToolchain("go", goCache);
  if (goPath() === undefined) throw new SetupStop([`found: the fetched Go ${goToolchain} doesn't run here`]);
  return cachedGo;
};

/**
 * @param {string} go one with modules that is too old to fetch a toolchain by itself
 * @param {string} cache becomes its GOPATH
 * @returns {string} the fetched program
 */
export const fetchToolchain = (go, cache) => {
  const name = `golang.org/toolchain@v0.0.1-go${goToolchain}.linux-${goArch}`;
  const env = {
    ...process.env,
    GOPATH: cache,
    GOMODCACHE: join(cache, "pkg", "mod"),
    GOFLAGS: "-modcacherw",
    GOTOOLCHAIN: "local",
    GO111MODULE: "on",
    // The hash is pinned above, which says more than a database reached over the same network.
    GONOSUMDB: "golang.org/toolchain",
    GONOSUMCHECK: "1",
    GOSUMDB: "off",
  };
  const answer = outputOf(go, ["mod", "download", "-json", name], { cwd: "/", env });
  if (answer === undefined) {
    throw new SetupStop([
      `found: no Go from 1.26 on, and ${name} could not be fetched`,
      "would help: install Go from https://go.dev/dl and put it into the PATH, or set GOPROXY to a module proxy that answers",
    ]);
  }
  const { Sum, Dir } = JSON.parse(answer);
  if (Sum !== toolchainSums[goArch]) {
    rmSync(Dir, { recursive: true, force: true });
    throw new SetupStop([`found: ${name} has the hash ${Sum}, not ${toolchainSums[goArch]}: it was thrown away`]);
  }
  // Modules are unpacked without execute bits.
  const toolDir = join(Dir, "pkg", "tool", `linux_${goArch}`);
  for (const dir of [join(Dir, "bin"), toolDir]) {
    if (existsSync(dir)) for (const file of readdirSync(dir)) chmodSync(join(dir, file), 0o755);
  }
  return join(Dir, "bin", "go");
};
