import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";

const requirements = resolve(import.meta.dirname, "python-clients.txt");
const timeout = 300_000;
const machine = process.arch === "arm64" ? "aarch64" : "x86_64";

/**
 * The folder of the wheels of Python's HTTP clients for this version (`3.11`), hashes checked; downloaded once and kept in
 * .cache. Throws where they can't be had.
 */
const clientWheels = (version: string): string => {
  const digest = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 16);
  const folder = resolve(import.meta.dirname, `../../.cache/python-clients-${version}-${digest}`);
  if (existsSync(folder)) return folder;
  const work = `${folder}.part`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  execFileSync("python3", ["-m", "venv", join(work, "venv")], { stdio: "pipe", timeout });
  const platforms = ["manylinux2014", "manylinux_2_28"].flatMap((name) => ["--platform", `${name}_${machine}`]);
  execFileSync(
    join(work, "venv/bin/pip"),
    [
      ...["download", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"],
      ...["--only-binary", ":all:", "--python-version", version, ...platforms],
      ...["--requirement", requirements, "--dest", join(work, "wheels")],
    ],
    { stdio: "pipe", timeout },
  );
  renameSync(join(work, "wheels"), folder);
  rmSync(work, { recursive: true });
  return folder;
};

/** Puts them into a pip index, where the test Internet serves `host`; tells why they can't be had here, if so. */
export const servePythonClients = (wwwDir: string, host: string, version: string): string | undefined => {
  let wheels: string;
  try {
    wheels = clientWheels(version);
  } catch (error) {
    return `no wheels for Python ${version}: ${(error as Error).message}`;
  }
  for (const wheel of readdirSync(wheels)) {
    const name = (wheel.split("-")[0] ?? "").toLowerCase().replace(/[-_.]+/g, "-");
    const folder = join(wwwDir, host, "simple", name);
    mkdirSync(folder, { recursive: true });
    copyFileSync(join(wheels, wheel), join(folder, wheel));
    writeFileSync(
      join(folder, "index.html"),
      `<!DOCTYPE html><html><body><a href="${wheel}">${wheel}</a></body></html>\n`,
    );
  }
  return undefined;
};
