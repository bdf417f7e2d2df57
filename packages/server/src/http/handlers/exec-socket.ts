import { constants } from "node:os";
import { type ExecRequest as ExecBody, execInSandbox, type execOverWebSocket, StacyError } from "@stacyvm/contract";
import type { WebSocket } from "ws";
import { z } from "zod";
import type { ExecEvent } from "../../guest/guest.ts";
import type { StreamedExec } from "../../orchestrator/exec.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import { decodersFor } from "../decode.ts";
import type { Handler, OperationRequest } from "../handler.ts";
import { outputDecoders } from "../streams/exec-lines.ts";
import { callerOf } from "./caller.ts";
import { execRequest } from "./exec.ts";
import { endSocket, failureMessage, failureText, sendFrame } from "./socket-frames.ts";

/** Time a client has to send its first message, milliseconds. */
const firstMessageTimeoutMs = 30_000;
/** Input messages that wait for the sandbox; a client that sends faster is cut off. */
const pendingInputMax = 256;

const size = z.int().min(1).max(1000);
const StartExtras = z.object({ cols: size.optional(), rows: size.optional(), pty: z.boolean().optional() });
const ClientMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("stdin"), data: z.string() }),
  z.object({ type: z.literal("stdin_close") }),
  z.object({ type: z.literal("resize"), cols: size, rows: size }),
  z.object({ type: z.literal("signal"), signal: z.string() }),
]);
type ClientMessage = z.output<typeof ClientMessage>;

const decodeStart = decodersFor(execInSandbox).body;

interface Start {
  /** The plain protocol: one request, chunks, done. */
  readonly legacy: boolean;
  readonly body: ExecBody;
  readonly pty: { readonly cols: number; readonly rows: number } | undefined;
}

const parseStart = (data: Buffer): Start => {
  const body = decodeStart(data) as ExecBody;
  const raw: unknown = JSON.parse(data.toString("utf8"));
  const type = typeof raw === "object" && raw !== null && "type" in raw ? raw.type : undefined;
  if (type === undefined) return { legacy: true, body, pty: undefined };
  if (type !== "start") throw new StacyError("invalid_input", "the first message must be of type start");
  const extras = StartExtras.parse(raw);
  const terminal = extras.pty === true || extras.cols !== undefined || extras.rows !== undefined;
  return { legacy: false, body, pty: terminal ? { cols: extras.cols ?? 80, rows: extras.rows ?? 24 } : undefined };
};

type Message = readonly [data: Buffer, binary: boolean];

interface FirstMessage {
  /** Undefined where none came in time, or a binary one. */
  readonly data: Buffer | undefined;
  /** What came right behind it, for whoever listens from now on: a pause doesn't hold back what has been read already. */
  rest(): readonly Message[];
}

const firstMessage = (socket: WebSocket): Promise<FirstMessage> =>
  new Promise((resolve) => {
    const behind: Message[] = [];
    const keep = (data: Buffer, binary: boolean) => void behind.push([data, binary]);
    const rest = () => {
      socket.off("message", keep);
      return behind;
    };
    const timer = setTimeout(() => resolve({ data: undefined, rest }), firstMessageTimeoutMs);
    socket.once("message", (data: Buffer, binary: boolean) => {
      clearTimeout(timer);
      socket.pause();
      socket.on("message", keep);
      resolve({ data: binary ? undefined : data, rest });
    });
    socket.once("close", () => {
      clearTimeout(timer);
      resolve({ data: undefined, rest });
    });
  });

/** Serves both protocols: a bare request, and `start` with input, terminal size and signals. */
export const execSocketHandler =
  ({ useCases }: { readonly useCases: UseCases }): Handler<typeof execOverWebSocket> =>
  async (request, socket) => {
    const { data, rest } = await firstMessage(socket);
    if (socket.readyState !== socket.OPEN) return;
    let start: Start;
    try {
      if (data === undefined) throw new StacyError("invalid_input", "no first message");
      start = parseStart(data);
    } catch {
      endSocket(socket, 1007, "invalid request");
      return;
    }
    await converse(useCases, request, socket, start, rest);
  };

const converse = async (
  useCases: UseCases,
  request: OperationRequest<typeof execOverWebSocket>,
  socket: WebSocket,
  start: Start,
  rest: FirstMessage["rest"],
): Promise<void> => {
  const { params, identity, signal } = request;
  try {
    const wanted = {
      ...execRequest(start.body),
      ...(start.legacy ? {} : { stdinOpen: true }),
      ...(start.pty === undefined ? {} : { pty: start.pty }),
    };
    const streamed = await useCases.execStream(params.id, wanted, callerOf(identity), signal);
    const early = rest();
    const input = start.legacy ? undefined : inputOf(streamed, socket, signal, early);
    socket.resume();
    const decoders = outputDecoders();
    for await (const event of streamed.events) await forward(event, socket, start.legacy, decoders, input);
    socket.close(1000);
  } catch (error) {
    if (socket.readyState !== socket.OPEN) return;
    await sendFrame(socket, start.legacy ? { error: failureText(error) } : failureMessage(error)).catch(() => {});
    endSocket(socket, 1011, "exec failed");
  }
};

const forward = async (
  event: ExecEvent,
  socket: WebSocket,
  legacy: boolean,
  decoders: ReturnType<typeof outputDecoders>,
  input: ReturnType<typeof inputOf> | undefined,
): Promise<void> => {
  const chunk = (name: string, data: string) =>
    sendFrame(socket, legacy ? { stream: name, data } : { type: name, data });
  if (event.type === "start") {
    input?.started(event.processId);
  } else if (event.type === "output") {
    const data = decoders.text(event.stream, event.data);
    if (data !== "") await chunk(event.stream === "stderr" ? "stderr" : "stdout", data);
  } else {
    for (const [name, data] of decoders.rest()) if (data !== "") await chunk(name, data);
    const exit = { exit_code: event.exitCode, timed_out: event.timedOut };
    await sendFrame(socket, legacy ? { type: "done" } : { type: "exit", ...exit });
  }
};

/** Takes the client's messages to the process, one after the other. */
const inputOf = ({ guest }: StreamedExec, socket: WebSocket, signal: AbortSignal, early: readonly Message[]) => {
  const ready = Promise.withResolvers<string>();
  let tail: Promise<unknown> = ready.promise;
  let pending = 0;
  const take = (data: Buffer, binary: boolean) => {
    const message = binary ? undefined : parseMessage(data);
    if (message === undefined) {
      socket.close(1007, "invalid message");
      return;
    }
    pending += 1;
    if (pending > pendingInputMax) {
      socket.close(1008, "too much input at once");
      return;
    }
    tail = tail
      .then(() => ready.promise)
      .then((processId) => act(guest, processId, message, signal))
      // The process may have ended with input still on its way; its exit tells the client.
      .catch(() => {})
      .finally(() => {
        pending -= 1;
      });
  };
  for (const message of early) take(...message);
  socket.on("message", take);
  return { started: (processId: string) => ready.resolve(processId) };
};

const parseMessage = (data: Buffer): ClientMessage | undefined => {
  try {
    return ClientMessage.parse(JSON.parse(data.toString("utf8")));
  } catch {
    return undefined;
  }
};

const act = async (
  guest: StreamedExec["guest"],
  processId: string,
  message: ClientMessage,
  signal: AbortSignal,
): Promise<void> => {
  switch (message.type) {
    case "stdin":
      return await guest.writeStdin(processId, Buffer.from(message.data), signal);
    case "stdin_close":
      return await guest.closeStdin(processId, signal);
    case "resize":
      return await guest.resizePty(processId, message, signal);
    case "signal": {
      const number = constants.signals[message.signal as NodeJS.Signals];
      if (number === undefined) return;
      return await guest.signalProcess(processId, number, true, signal);
    }
  }
};
