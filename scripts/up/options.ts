import { resolve } from "node:path";
import { parseArgs } from "node:util";

export interface UpOptions {
  /** Show it once and end. */
  readonly once: boolean;
  /** Settings given on the command line, by their keys. */
  readonly overrides: Readonly<Record<string, string>>;
}

export const usage = `usage: npm run up [-- --once] [-- --port N] [-- --data DIR]

  --once      make a sandbox, use it, destroy it, and end
  --port N    listen on another port (0: any free one)
  --data DIR  keep everything in this directory`;

/** Throws a TypeError for an argument that is unknown or has no value. */
export function parseUpOptions(argv: readonly string[], cwd: string): UpOptions | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      once: { type: "boolean", default: false },
      port: { type: "string" },
      data: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const overrides: Record<string, string> = {};
  if (values.port !== undefined) overrides["server.port"] = values.port;
  if (values.data !== undefined) {
    overrides.data_dir = resolve(cwd, values.data);
  }
  return { once: values.once, overrides };
}
