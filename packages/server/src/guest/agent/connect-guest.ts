import http from "node:http";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { StacyError } from "@stacyvm/contract";
import type { ConnectGuest, Dial, Guest } from "../guest.ts";
import { Filesystem } from "../wire/filesystem/filesystem_pb.js";
import { Guest as GuestService } from "../wire/stacyvm/guest/v1/guest_pb.js";
import { agentSession } from "./agent-session.ts";
import { fileEntry, safeNumber } from "./entries.ts";
import { agentMessageMaxBytes } from "./envelope.ts";
import { collectExec, streamExec } from "./exec.ts";
import { type FailureReading, guestFailure } from "./failures.ts";
import { readFile, writeFile } from "./files.ts";
import { agentFolders } from "./folders.ts";
import { configureAgent } from "./init.ts";
import { keptConnectionsMax, plainConnections } from "./plain-connections.ts";
import { agentPorts } from "./ports.ts";
import { agentProcesses } from "./processes.ts";
import { agentUploads } from "./uploads.ts";
import { watchFolder } from "./watch.ts";

/** Most entries of one listing or glob that are passed on. */
const entriesMax = 100_000;
/** Deadline of a call that moves no bulk, milliseconds: an agent that is stopped must not hold callers. */
const callTimeoutMs = 30_000;
/** A multiplexed connection without calls is closed after this, milliseconds; the next call makes another. */
const idleConnectionTimeoutMs = 60_000;

/** The address in a request means nothing: every stream goes through the sandbox's door. */
const agentUrl = "http://agent";

const processReading: FailureReading = {
  [Code.NotFound]: "process_not_found",
  [Code.FailedPrecondition]: "process_state_conflict",
};

/** The guest behind an agent: one multiplexed connection for calls, plain ones for commands and bulk bytes. */
export const connectGuest: ConnectGuest = ({ dial, label, multiplexed = false }) => {
  const connections = plainConnections(dial);
  const uploads = uploadConnections(dial);
  const session = agentSession({ authority: agentUrl, dial, idleTimeoutMs: idleConnectionTimeoutMs });
  const transport = createConnectTransport({
    // Not HTTP/2 over a stream that is no real socket: Node drops an answer that comes in one piece.
    ...(multiplexed
      ? { httpVersion: "1.1", nodeOptions: { agent: uploads } }
      : { httpVersion: "2", sessionManager: session }),
    baseUrl: agentUrl,
    useBinaryFormat: true,
    readMaxBytes: agentMessageMaxBytes,
    acceptCompression: [],
  });
  const guest = createClient(GuestService, transport);
  const filesystem = createClient(Filesystem, transport);

  /** One bounded call, its failure read for the caller. */
  const call = async <T>(
    signal: AbortSignal,
    start: (options: { signal: AbortSignal; timeoutMs: number }) => Promise<T>,
    reading?: FailureReading,
  ): Promise<T> => {
    try {
      return await start({ signal, timeoutMs: callTimeoutMs });
    } catch (error) {
      throw guestFailure(error, signal, reading);
    }
  };

  return {
    folders: agentFolders({ connections, uploads, callTimeoutMs }),
    processes: agentProcesses({ guest, connections, callTimeoutMs }),
    exec: (request, signal) => streamExec(connections, request, signal),
    run: (request, signal) => collectExec(streamExec(connections, request, signal), request.maxOutputBytes),
    writeStdin: async (processId, data, signal) => {
      await call(signal, (options) => guest.writeStdin({ processId, data }, options), processReading);
    },
    closeStdin: async (processId, signal) => {
      await call(signal, (options) => guest.closeStdin({ processId }, options), processReading);
    },
    resizePty: async (processId, size, signal) => {
      await call(signal, (options) => guest.resizePty({ processId, size }, options), processReading);
    },
    signalProcess: async (processId, signalNumber, tree, signal) => {
      await call(
        signal,
        (options) => guest.signalProcess({ processId, signal: signalNumber, tree }, options),
        processReading,
      );
    },

    readFile: (path, options, signal) => readFile(connections, path, options, signal),
    writeFile: (path, content, options, signal) => writeFile(uploads, path, content, options.mode, signal),
    stat: async (path, signal) =>
      fileEntry((await call(signal, (options) => filesystem.stat({ path }, options))).entry),
    list: async (path, signal, { depth = 1 } = {}) => {
      const reading: FailureReading = { [Code.InvalidArgument]: "not_a_directory" };
      const { entries } = await call(signal, (options) => filesystem.listDir({ path, depth }, options), reading);
      return bounded(entries).map(fileEntry);
    },
    remove: async (path, { recursive }, signal) => {
      const reading: FailureReading = { [Code.FailedPrecondition]: "directory_needs_recursive" };
      await call(signal, (options) => guest.remove({ path, recursive }, options), reading);
    },
    move: async (source, destination, signal) => {
      await call(signal, (options) => guest.move({ source, destination }, options));
    },
    chmod: async (path, mode, signal) => {
      await call(signal, (options) => guest.chmod({ path, mode }, options));
    },
    glob: async (pattern, signal) => {
      const { paths, truncated } = await call(signal, (options) => guest.glob({ pattern, limit: entriesMax }, options));
      if (truncated) throw new StacyError("sandbox_limit", `the pattern matches more than ${entriesMax} paths`);
      return bounded(paths);
    },

    uploads: agentUploads(uploads),
    ports: agentPorts({ guest, dial, callTimeoutMs }),
    watch: watchFolder(connections),

    usage: async (signal) => {
      const usage = await call(signal, (options) => guest.usage({}, options));
      return {
        cpuUs: safeNumber(usage.cpuUs),
        memoryBytes: safeNumber(usage.memoryBytes),
        memoryLimitBytes: safeNumber(usage.memoryLimitBytes),
        processes: usage.processes,
        diskUsedBytes: safeNumber(usage.diskUsedBytes),
        diskTotalBytes: safeNumber(usage.diskTotalBytes),
      };
    },
    configure: (settings, signal) => configureAgent(uploads, settings, signal),
    ready: async (signal) => {
      await call(signal, (options) => guest.info({}, options));
    },
    [Symbol.asyncDispose]: async () => {
      session.abort(new StacyError("guest_unreachable", "the sandbox is gone"));
      connections.destroy();
      uploads.destroy();
    },
    get [Symbol.toStringTag]() {
      return `Guest(${label})`;
    },
  } satisfies Guest & { readonly [Symbol.toStringTag]: string };
};

function bounded<T>(values: readonly T[]): readonly T[] {
  if (values.length > entriesMax) {
    throw new StacyError("guest_protocol", `the sandbox's agent listed ${values.length} entries`);
  }
  return values;
}

function uploadConnections(dial: Dial): http.Agent {
  const agent = new http.Agent({
    keepAlive: true,
    maxFreeSockets: keptConnectionsMax,
    timeout: idleConnectionTimeoutMs,
  });
  // Every plain connection is a fresh stream through the sandbox's door; the address in the request means nothing.
  Object.assign(agent, { createConnection: () => dial() });
  return agent;
}
