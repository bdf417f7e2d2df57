import type { Client, ProcessInfo } from "stacyvm";
import { ExitWith, UsageFailure } from "../failure.ts";
import type { Output } from "../output.ts";
import type { ServerAddress } from "../server-socket.ts";
import { table } from "../table.ts";
import { attachTo } from "../terminal/attachment.ts";
import type { ProcessAddress } from "../terminal/process-socket.ts";
import { type SessionOptions, terminalSession } from "../terminal/session.ts";

/** Characters of a command that a list shows. */
const commandShown = 60;

const cells = ({ id, state, exit, processes, tag = "", argv }: ProcessInfo): readonly string[] => {
  const command = argv.join(" ").replaceAll(/\s+/g, " ");
  return [
    id,
    state,
    exit === undefined ? "-" : String(exit.exit_code),
    String(processes),
    tag === "" ? "-" : tag,
    command.length > commandShown ? `${command.slice(0, commandShown - 1)}…` : command,
  ];
};

export async function psCommand(client: Client, output: Output, id: string): Promise<void> {
  const infos = (await (await client.get(id)).processes.list()).map(({ info }) => info);
  const heading = ["PROCESS", "STATE", "EXIT", "LIVING", "TAG", "COMMAND"];
  const elastic = [heading.indexOf("COMMAND"), heading.indexOf("TAG")];
  const expendable = [heading.indexOf("LIVING"), heading.indexOf("EXIT")];
  const layout = { elastic, expendable, cut: "end", width: output.width } as const;
  output.result(infos, infos.length === 0 ? "No processes" : table([heading, ...infos.map(cells)], layout));
}

export interface AttachFlags {
  readonly offset?: number;
}

/** Replays what can be replayed, then follows; with a terminal on both sides they are joined. */
export async function attachCommand(
  client: Client,
  server: ServerAddress,
  output: Output,
  id: string,
  processId: string,
  flags: AttachFlags,
): Promise<void> {
  const { info } = await (await client.get(id)).processes.get(processId);
  const { offset = 0 } = flags;
  if (info.pty && process.stdin.isTTY && process.stdout.isTTY) {
    await joinTerminal(server, output, { sandboxId: id, processId }, { offset, fresh: false });
  } else await follow(server, output, { sandboxId: id, processId }, offset);
}

/** bash where the image has it, else sh; as a login shell. */
const shellLine = "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l";

export async function shellCommand(
  client: Client,
  server: ServerAddress,
  output: Output,
  id: string,
  flags: { readonly user?: string; readonly workdir?: string },
): Promise<void> {
  const { stdin, stdout, env } = process;
  if (!stdin.isTTY || !stdout.isTTY) throw new UsageFailure("shell needs a terminal; use: stacyvm exec <id> -- sh");
  const sandbox = await client.get(id);
  const shell = await sandbox.processes.start(shellLine, {
    mode: "shell",
    pty: { cols: stdout.columns, rows: stdout.rows },
    env: { TERM: env.TERM ?? "xterm" },
    tag: "shell",
    user: flags.user,
    workdir: flags.workdir,
  });
  output.errorLine(`${shell.id}; Enter ~ . leaves it running`);
  await joinTerminal(server, output, { sandboxId: id, processId: shell.id }, { offset: 0, fresh: true });
}

async function joinTerminal(
  server: ServerAddress,
  output: Output,
  address: ProcessAddress,
  options: SessionOptions,
): Promise<void> {
  const { stdin: input, stdout, stderr: notices } = process;
  const end = await terminalSession(server, address, { input, output: stdout, notices }, options);
  if (!end.left) throw new ExitWith(end.status);
  stdout.write("\r\n");
  output.errorLine("left it running; come back with:");
  output.errorLine(`  stacyvm attach ${address.sandboxId} ${address.processId}`);
}

/** Output alone, to the exit. */
async function follow(server: ServerAddress, output: Output, address: ProcessAddress, offset: number): Promise<void> {
  const onAway = () => output.errorLine("connection lost, trying again");
  const onBack = () => output.errorLine("connected again");
  for await (const event of attachTo(server, address, { offset, onAway, onBack }).events) {
    if (event.type === "output") await output.raw(event.stream === "stderr" ? "stderr" : "stdout", event.data);
    else if (event.type === "gap") output.errorLine(`output from ${event.offset} to ${event.until} is lost`);
    else if (event.type === "exit") throw new ExitWith(event.exit.exit_code);
  }
}
