import type { Client, Sandbox } from "stacyvm";
import type { Copied, CopyContext } from "../copy/copied.ts";
import { bytesText, noProgress, type Progress, terminalProgress } from "../copy/progress.ts";
import { receive } from "../copy/receive.ts";
import { send } from "../copy/send.ts";
import { parseSide, type Side } from "../copy/sides.ts";
import { UsageFailure } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import type { Output } from "../output.ts";

export interface CopyFlags {
  readonly followLinks?: true;
  readonly quiet?: true;
}

type OfKind<Kind extends Side["kind"]> = Extract<Side, { kind: Kind }>;

const isRemote = (side: Side): side is OfKind<"sandbox"> => side.kind === "sandbox";
const isHere = (side: Side): side is OfKind<"local" | "stdio"> => side.kind !== "sandbox";

const counted = (count: number, one: string, many: string) =>
  count === 0 ? [] : [`${count} ${count === 1 ? one : many}`];

const summary = ({ files, directories, links, bytes }: Copied): string => {
  const what = [
    ...counted(files, "file", "files"),
    ...counted(directories, "folder", "folders"),
    ...counted(links, "link", "links"),
  ];
  return `Copied ${what.join(", ") || "nothing"} (${bytesText(bytes)})`;
};

const progressFor = (output: Output, flags: CopyFlags): Progress => {
  const { stderr } = process;
  if (output.json || flags.quiet || !stderr.isTTY) return noProgress;
  return terminalProgress({
    get columns() {
      return stderr.columns;
    },
    write: (text) => void stderr.write(text),
    nowMs: () => performance.now(),
  });
};

/** Sources into a target, exactly one side of which is in a sandbox. */
export async function copyCommand(
  client: Client,
  output: Output,
  words: readonly string[],
  flags: CopyFlags,
): Promise<void> {
  const sides = words.map(parseSide);
  const sources = sides.slice(0, -1);
  const target = sides.at(-1);
  if (target === undefined || sources.length === 0) {
    throw new UsageFailure("copy what to where? For example: stacyvm cp ./src sb-…:/workspace");
  }
  const done: Copied = { files: 0, directories: 0, links: 0, bytes: 0 };
  const startedAtMs = performance.now();
  await interruptible(async (signal) => {
    using progress = progressFor(output, flags);
    const context: CopyContext = {
      done,
      progress,
      isFollowing: flags.followLinks === true,
      warn: (text) => {
        progress.clear();
        output.errorLine(text);
      },
      signal,
    };
    const sandboxOf = (id: string): Promise<Sandbox> => client.get(id, { signal });
    if (isRemote(target) && sources.every(isHere)) {
      await send(await sandboxOf(target.id), sources.filter(isHere), target, context);
    } else if (isHere(target) && sources.every(isRemote)) {
      await receive(sandboxOf, sources.filter(isRemote), target, output, context);
    } else {
      throw new UsageFailure("one side is in a sandbox, as in sb-…:/path, and the other is on this machine");
    }
  });
  if (target.kind === "stdio" || (flags.quiet && !output.json)) return;
  const seconds = Math.round(performance.now() - startedAtMs) / 1000;
  output.result({ ...done, seconds }, summary(done));
}
