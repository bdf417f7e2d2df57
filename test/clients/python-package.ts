import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { pythonWith } from "./python-venv.ts";

export const packageFolder = resolve(import.meta.dirname, "../../sdk-python");
const requirements = join(packageFolder, "tests", "requirements.txt");
/** The oldest that the package promises. */
const oldest = 9;

const minorOf = (python: string): number | undefined => {
  try {
    const print = "import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else '')";
    const told = execFileSync(python, ["-c", print], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    return told === "" ? undefined : Number(told);
  } catch {
    return undefined;
  }
};

/** Where Pythons may be: those of PATH, and those that pyenv has beside the one in use. */
const candidates = (): readonly string[] => {
  const versions = join(process.env.PYENV_ROOT ?? join(homedir(), ".pyenv"), "versions");
  const installed = existsSync(versions) ? readdirSync(versions) : [];
  return ["python3", `python3.${oldest}`, ...installed.map((version) => join(versions, version, "bin", "python3"))];
};

/** The oldest one here that the package promises, and the newest; by version. */
export const pythonsToTest = (): ReadonlyMap<string, string> => {
  const found = new Map<number, string>();
  for (const python of candidates()) {
    const minor = minorOf(python);
    if (minor !== undefined && minor >= oldest && !found.has(minor)) found.set(minor, python);
  }
  const minors = [...found.keys()].sort((a, b) => a - b);
  const ends = [...new Set([...minors.slice(0, 1), ...minors.slice(-1)])];
  return new Map(ends.map((minor) => [`3.${minor}`, found.get(minor) ?? ""]));
};

/** The newest Python here, with what builds, checks and tests the package. */
export const toolsPython = (): string => pythonWith(requirements, [...pythonsToTest().values()].at(-1));

export interface BuiltPackage {
  readonly wheel: string;
  readonly sdist: string;
}

const run = (python: string, args: readonly string[], cwd: string): string =>
  execFileSync(python, ["-B", ...args], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 120_000 });

/** Builds wheel and sdist into the folder, with nothing but what the requirements pin. */
export const buildPackage = (folder: string): BuiltPackage => {
  run(toolsPython(), ["-m", "hatchling", "build", "-d", folder], packageFolder);
  const one = (ending: string) => {
    const [name, ...others] = readdirSync(folder).filter((file) => file.endsWith(ending));
    if (name === undefined || others.length > 0) throw new Error(`not one ${ending} was built in ${folder}`);
    return join(folder, name);
  };
  return { wheel: one(".whl"), sdist: one(".tar.gz") };
};

/** A wheel made of an sdist, which has to hold all that it takes. */
export const wheelOf = (sdist: string, folder: string): string => {
  const pip = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"];
  mkdirSync(folder, { recursive: true });
  run(toolsPython(), [...pip, "--wheel-dir", folder, sdist], folder);
  return join(folder, readdirSync(folder).find((file) => file.endsWith(".whl")) ?? "");
};

/** The Python of a virtual environment of its own: the wheel, installed, over what the tests need. */
export const environmentWith = (interpreter: string, wheel: string, folder: string): string => {
  const tools = pythonWith(requirements, interpreter);
  mkdirSync(folder, { recursive: true });
  run(tools, ["-m", "venv", "--without-pip", folder], folder);
  const python = join(folder, "bin", "python");
  const site = (of: string) => run(of, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).trim();
  writeFileSync(join(site(python), "tools.pth"), `${site(tools)}\n`);
  run(tools, ["-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel], folder);
  return python;
};
