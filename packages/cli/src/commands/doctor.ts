import { examine, type ServerView } from "@stacyvm/server/doctor";
import { type Client, ConnectionError } from "stacyvm";
import { ExitWith } from "../failure.ts";
import type { Output } from "../output.ts";
import { createPaint } from "../paint.ts";
import { reportText } from "../report.ts";
import type { ServerAddress } from "../server-socket.ts";

export interface DoctorFlags {
  readonly config?: string;
}

/** How long a server may take to say how its providers are, milliseconds. */
const serverTimeoutMs = 10_000;

export async function doctorCommand(
  client: Client,
  { url }: ServerAddress,
  output: Output,
  flags: DoctorFlags,
): Promise<void> {
  const server = await viewOf(client, url);
  const report = await examine({ server, ...(flags.config === undefined ? {} : { argvConfigPath: flags.config }) });
  if (output.json) output.result(report, "");
  else
    await output.raw(
      "stdout",
      reportText(report, { width: output.width, paint: createPaint(process.stdout.isTTY === true) }),
    );
  if (report.status === "fail") throw new ExitWith(1);
}

async function viewOf(client: Client, url: string): Promise<ServerView> {
  try {
    const providers = (await client.providers({ timeoutMs: serverTimeoutMs })) as ServerView["providers"];
    return { url, providers, problem: "" };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { url, providers: undefined, problem: error instanceof ConnectionError ? "" : message };
  }
}
