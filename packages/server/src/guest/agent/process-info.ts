import type { ProcessInfo, ProcessMember, ProcessState } from "../guest-processes.ts";
import { type ChildProcess, type ProcessDetail, ProcessState as WireState } from "../wire/stacyvm/guest/v1/guest_pb.js";
import { safeNumber } from "./entries.ts";
import { unexpected } from "./envelope.ts";
import { execExit } from "./exec-events.ts";

/** Most processes of one list that are passed on. */
export const processesMax = 4_096;
/** Longest id, user, tag, name or path of a process taken from an agent, characters. */
const nameMax = 4_096;

const stateNames: Partial<Record<WireState, ProcessState>> = {
  [WireState.RUNNING]: "running",
  [WireState.BACKGROUND]: "background",
  [WireState.EXITED]: "exited",
};

/** Throws guest_protocol where the agent's description can't be true. */
export function processInfo(detail: ProcessDetail | undefined): ProcessInfo {
  const state = detail === undefined ? undefined : stateNames[detail.state];
  if (detail === undefined || state === undefined) throw unexpected("a process without a known state");
  const { processId: id, cwd, user, tag } = detail;
  for (const name of [id, cwd, user, tag]) if (name.length > nameMax) throw unexpected("a name that is too long");
  if (state !== "running" && detail.exit === undefined) throw unexpected("an ended process without its exit");
  return {
    id,
    pid: detail.pid,
    argv: detail.argv,
    cwd,
    user,
    tag,
    state,
    exit: detail.exit === undefined ? undefined : execExit(detail.exit),
    pty: detail.pty,
    stdinOpen: detail.stdinOpen,
    startedAtMs: safeNumber(detail.startedAtMs),
    endedAtMs: state === "exited" ? safeNumber(detail.endedAtMs) : undefined,
    firstOffset: safeNumber(detail.firstOffset),
    nextOffset: safeNumber(detail.nextOffset),
    processes: detail.processes,
    cpuMs: Math.trunc(safeNumber(detail.cpuUs) / 1000),
    memoryBytes: safeNumber(detail.memoryBytes),
  };
}

export function processMember(child: ChildProcess): ProcessMember {
  if (child.name.length > nameMax) throw unexpected("a name that is too long");
  return {
    pid: child.pid,
    parentPid: child.parentPid,
    name: child.name,
    cpuMs: Math.trunc(safeNumber(child.cpuUs) / 1000),
    memoryBytes: safeNumber(child.memoryBytes),
  };
}
