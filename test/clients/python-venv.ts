import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const installTimeoutMs = 300_000;

/**
 * The Python of a virtual environment that holds exactly what a requirements file says, hashes checked. Kept under
 * .cache/ and made anew when the file or the interpreter changes.
 */
export const pythonWith = (requirements: string, interpreter = "python3"): string => {
  const version = execFileSync(interpreter, ["-c", "import sys; print(sys.version, sys.base_prefix)"]);
  const digest = createHash("sha256").update(readFileSync(requirements)).update(version).digest("hex").slice(0, 16);
  const folder = resolve(import.meta.dirname, `../../.cache/python-${digest}`);
  const python = join(folder, "bin", "python");
  const finished = join(folder, "finished");
  if (existsSync(finished)) return python;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  const options = { stdio: "pipe", timeout: installTimeoutMs } as const;
  execFileSync(interpreter, ["-m", "venv", folder], options);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
  execFileSync(python, [...pip, "--only-binary", ":all:", "--requirement", requirements], options);
  writeFileSync(finished, "");
  return python;
};
