import { execFile } from "node:child_process";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Makes the folder a project that has the packed package installed and nothing else of this one.
 * @returns where the package lies
 */
export async function installPacked(home: string): Promise<string> {
  const source = join(home, "source");
  await run(process.execPath, [join(root, "scripts", "build.ts"), join(source, "dist")]);
  for (const name of ["package.json", "README.md", "LICENSE"]) await cp(join(root, name), join(source, name));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", home], { cwd: source });
  const [packed] = JSON.parse(stdout) as [{ filename: string }];
  const target = join(home, "node_modules", "stacyvm");
  await mkdir(target, { recursive: true });
  await run("tar", ["-xzf", join(home, packed.filename), "-C", target, "--strip-components=1"]);
  await writeFile(join(home, "package.json"), '{"name":"consumer","private":true,"type":"module"}');
  return target;
}
