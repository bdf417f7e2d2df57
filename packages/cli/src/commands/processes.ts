import type { Client, ProcessInfo, SandboxProcess } from "stacyvm";
import { ExitWith, UsageFailure } from "../failure.ts";
import { type Output, table } from "../output.ts";
import { terminalSession } from "../terminal/session.ts";

/** Characters of a command that a list shows. */
const commandShown = 60;

const cells = ({ id, state, exit, processes, tag = "", argv }: ProcessInfo): readonly string[] => {
  const command = argv.join(" ").replaceAll("\n", " ");
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
  const layout = { elastic: heading.indexOf("COMMAND"), width: output.width };
  output.result(infos, infos.length === 0 ? "No processes" : table([heading, ...infos.map(cells)], layout));
}

export interface AttachFlags {
  readonly offset?: number;
}

/** Replays what can be replayed, then follows; with a terminal on both sides they are joined. */
export async function attachCommand(
  client: Client,
  output: Output,
  id: string,
  processId: string,
  flags: AttachFlags,
): Promise<void> {
  const process = await (await client.get(id)).processes.get(processId);
  await follow(process, output, id, flags.offset ?? 0);
}

/** bash where the image has it, else sh; as a login shell. */
const shellLine = "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l";

export async function shellCommand(
  client: Client,
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
  await follow(shell, output, id, 0);
}

async function follow(attached: SandboxProcess, output: Output, id: string, offset: number): Promise<void> {
  const { stdin, stdout } = process;
  if (attached.info.pty && stdin.isTTY && stdout.isTTY) {
    const end = await terminalSession(attached, { input: stdin, output: stdout }, offset);
    if (!end.left) throw new ExitWith(end.status);
    output.errorLine(`\r\nleft it running; back with: stacyvm attach ${id} ${attached.id}`);
    return;
  }
  for await (const event of attached.output({ offset })) {
    if (event.type === "output") await output.raw(event.stream === "stderr" ? "stderr" : "stdout", event.data);
    else if (event.type === "gap") output.errorLine(`output from ${event.offset} to ${event.until} is lost`);
    else if (event.type === "exit") throw new ExitWith(event.exit.exit_code);
  }
  throw new Error("the server ended the output without the command's exit");
}
