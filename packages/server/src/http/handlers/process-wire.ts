import type { Process, ProcessExit } from "@stacyvm/contract";
import type { ExecExit } from "../../guest/guest.ts";
import type { ProcessInfo, ProcessMember } from "../../guest/guest-processes.ts";
import { formatDuration } from "../../lib/duration.ts";
import { rfc3339 } from "./wire-time.ts";

export const wireExit = (exit: ExecExit): ProcessExit => ({
  exit_code: exit.exitCode,
  ...(exit.signal === 0 ? {} : { signal: exit.signal }),
  timed_out: exit.timedOut,
  background: exit.background,
  duration: formatDuration(exit.durationMs),
});

/** The public object; the children only where they were asked for. */
export const wireProcess = (info: ProcessInfo & { readonly members?: readonly ProcessMember[] }): Process => ({
  id: info.id,
  pid: info.pid,
  argv: [...info.argv],
  workdir: info.cwd,
  user: info.user,
  ...(info.tag === "" ? {} : { tag: info.tag }),
  state: info.state,
  ...(info.exit === undefined ? {} : { exit: wireExit(info.exit) }),
  pty: info.pty,
  stdin_open: info.stdinOpen,
  started_at: rfc3339(info.startedAtMs),
  ...(info.endedAtMs === undefined ? {} : { ended_at: rfc3339(info.endedAtMs) }),
  first_offset: info.firstOffset,
  next_offset: info.nextOffset,
  processes: info.processes,
  cpu_ms: info.cpuMs,
  memory_bytes: info.memoryBytes,
  ...(info.members === undefined
    ? {}
    : {
        children: info.members.map((member) => ({
          pid: member.pid,
          parent_pid: member.parentPid,
          name: member.name,
          cpu_ms: member.cpuMs,
          memory_bytes: member.memoryBytes,
        })),
      }),
});
