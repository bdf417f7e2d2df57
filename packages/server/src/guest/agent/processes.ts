import { Code, type Client as ConnectClient } from "@connectrpc/connect";
import type { GuestProcesses } from "../guest-processes.ts";
import type { Guest as GuestService } from "../wire/stacyvm/guest/v1/guest_pb.js";
import { attachProcess } from "./attach.ts";
import { unexpected } from "./envelope.ts";
import { wireExecRequest } from "./exec-events.ts";
import { type FailureReading, guestFailure } from "./failures.ts";
import type { PlainConnections } from "./plain-connections.ts";
import { processesMax, processInfo, processMember } from "./process-info.ts";

const reading: FailureReading = {
  [Code.NotFound]: "process_not_found",
  [Code.FailedPrecondition]: "process_state_conflict",
};
/** A missing program is data, so what is not found at a start is something the request names, such as its user. */
const startReading: FailureReading = { [Code.NotFound]: "invalid_input" };
const stdinReading: FailureReading = { ...reading, [Code.ResourceExhausted]: "stdin_full" };

export interface AgentProcessesOptions {
  readonly guest: ConnectClient<typeof GuestService>;
  readonly connections: PlainConnections;
  /** Deadline of a call that doesn't wait for a process, milliseconds. */
  readonly callTimeoutMs: number;
}

/** The processes behind an agent. */
export const agentProcesses = ({ guest, connections, callTimeoutMs }: AgentProcessesOptions): GuestProcesses => {
  const call = async <T>(
    signal: AbortSignal,
    start: (options: { signal: AbortSignal; timeoutMs: number }) => Promise<T>,
    how: { readonly reading?: FailureReading; readonly waitMs?: number } = {},
  ): Promise<T> => {
    try {
      return await start({ signal, timeoutMs: callTimeoutMs + (how.waitMs ?? 0) });
    } catch (error) {
      throw guestFailure(error, signal, how.reading ?? reading);
    }
  };

  return {
    start: async (processId, request, signal) => {
      const process = wireExecRequest(request);
      const started = await call(signal, (options) => guest.startProcess({ processId, process }, options), {
        reading: startReading,
      });
      return processInfo(started.process);
    },
    list: async (signal) => {
      const { processes } = await call(signal, (options) => guest.listProcesses({}, options));
      if (processes.length > processesMax) throw unexpected(`a list of ${processes.length} processes`);
      return processes.map(processInfo);
    },
    get: async (processId, signal) => {
      const { process, members } = await call(signal, (options) => guest.getProcess({ processId }, options));
      if (members.length > processesMax) throw unexpected(`a process of ${members.length} members`);
      return { ...processInfo(process), members: members.map(processMember) };
    },
    wait: async (processId, waitMs, signal) => {
      const start = (options: { signal: AbortSignal; timeoutMs: number }) =>
        guest.waitProcess({ processId, waitMs }, options);
      return processInfo((await call(signal, start, { waitMs })).process);
    },
    attach: (processId, options, signal) => attachProcess(connections, { processId, ...options }, signal, reading),
    writeStdin: async (processId, data, waitMs, signal) => {
      await call(signal, (options) => guest.writeStdin({ processId, data, waitMs }, options), {
        reading: stdinReading,
        waitMs,
      });
    },
  };
};
