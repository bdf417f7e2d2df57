import { existsSync } from "node:fs";
import { join } from "node:path";

export interface Runtime {
  readonly name: string;
  readonly program: string;
  /** What stands before the file of a program: it may use the network and nothing else, where that can be said. */
  readonly args: readonly string[];
}

const modules = join(import.meta.dirname, "runtimes", "node_modules");
const bunArch = process.arch === "arm64" ? "aarch64" : process.arch;

/** The runtimes beside the Node that runs the tests, as `node scripts/setup.js test` installs them. */
export const runtimes: readonly Runtime[] = [
  { name: "Node 22", program: join(modules, `node-linux-${process.arch}`, "bin", "node"), args: [] },
  { name: "Bun", program: join(modules, "@oven", `bun-linux-${bunArch}`, "bin", "bun"), args: ["run"] },
  {
    name: "Deno",
    program: join(modules, "@deno", `linux-${process.arch}-glibc`, "deno"),
    args: ["run", "--no-prompt", "--allow-net=127.0.0.1", "--allow-read=."],
  },
];

/** Why a runtime can't be tried here; undefined where it can. */
export const missing = ({ name, program }: Runtime): string | undefined =>
  existsSync(program) ? undefined : `${name} is not installed for ${process.arch}: node scripts/setup.js test`;
