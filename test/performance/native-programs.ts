import { execFile } from "node:child_process";
import { createReadStream, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildNative } from "../../packages/server/src/providers/host.testing.ts";
import type { ApiClient } from "./api-client.ts";

const run = promisify(execFile);

/** The socket at which the agent of the sandbox listens. */
export const agentSocket = (dataDir: string, sandboxId: string): string => {
  const directory = join(dataDir, "oci");
  const found = readdirSync(directory, { recursive: true, encoding: "utf8" }).find(
    (path) => path.includes(sandboxId) && path.endsWith(".sock"),
  );
  if (found === undefined) throw new Error(`no socket of ${sandboxId} under ${directory}`);
  return join(directory, found);
};

/** Measures at an agent's own socket; the lines that the program prints. */
export const agentBench = async (
  dataDir: string,
  sandboxId: string,
  flags: Readonly<Record<string, number>>,
): Promise<readonly string[]> => {
  const argv = Object.entries(flags).flatMap(([name, value]) => [`-${name}`, String(value)]);
  const program = buildNative("agent-bench", dataDir);
  const { stdout } = await run(program, ["-socket", agentSocket(dataDir, sandboxId), ...argv]);
  return stdout.trim().split("\n");
};

const guestProgram = "/workspace/bench-guest";

/** Builds what benchmarks run inside, and puts it into the sandbox: its path here and there. */
export const putBenchGuest = async (api: ApiClient, dataDir: string, sandboxId: string) => {
  const here = buildNative("bench-guest", dataDir);
  const path = `/api/v1/sandboxes/${sandboxId}/files?path=${guestProgram}&mode=0755`;
  const { status, text } = await api.request({ method: "PUT", path, content: createReadStream(here) });
  if (status !== 200) throw new Error(`the program was answered with ${status}: ${text}`);
  return { here, inside: guestProgram };
};
