import { constants } from "node:os";
import { ProcessSocketMessage, type processSocket, StacyError } from "@stacyvm/contract";
import type { WebSocket } from "ws";
import type { OutputStream } from "../../guest/guest.ts";
import type { ProcessEvent } from "../../guest/guest-processes.ts";
import type { ProcessTarget, ProcessUseCases } from "../../orchestrator/processes.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { Handler } from "../handler.ts";
import { wireEvent } from "../streams/process-output.ts";
import { processOf } from "./processes.ts";
import { endSocket, failureMessage, sendFrame } from "./socket-frames.ts";

/** Bytes of input that wait for the process; while there are more the client isn't read. */
const waitingInputBytesMax = 1024 * 1024;
/** How long input that had arrived when its client left may still take, milliseconds. */
const leftInputMs = 30_000;
/** What a message weighs besides its bytes, so that empty ones are bounded too. */
const messageWeight = 256;

/** The head of a frame of output: a byte that says which stream, its top bit that this is a replay; then the offset. */
const frameHead = 9;
const replayedFlag = 0x80;
const streamNumbers: Readonly<Record<OutputStream, number>> = { stdout: 1, stderr: 2, pty: 3 };

type OutputEvent = Extract<ProcessEvent, { type: "output" }>;

const outputFrame = ({ stream, offset, data }: OutputEvent, live: boolean): Buffer => {
  const frame = Buffer.allocUnsafe(frameHead + data.length);
  frame[0] = streamNumbers[stream] | (live ? 0 : replayedFlag);
  frame.writeBigUInt64BE(BigInt(offset), 1);
  frame.set(data, frameHead);
  return frame;
};

/**
 * Attaches to a process: frames of output from the offset, `live` when the replay is over, `gap` where bytes are lost,
 * `exit`; from the client binary frames of input, and messages. Leaving it leaves the process alone, and takes nothing
 * back of what was sent before.
 */
export const processSocketHandler =
  ({ useCases }: { readonly useCases: UseCases }): Handler<typeof processSocket> =>
  async (request, socket) => {
    const target = processOf(request);
    socket.pause();
    try {
      const { events } = await useCases.processes.attach(target, request.query.offset ?? 0);
      takeInput(useCases.processes, target, socket);
      socket.resume();
      await sendOutput(events, socket);
      endSocket(socket, 1000, "");
    } catch (error) {
      if (socket.readyState !== socket.OPEN) return;
      await sendFrame(socket, failureMessage(error)).catch(() => {});
      endSocket(socket, 1011, "attach failed");
    }
  };

const sendOutput = async (events: AsyncIterable<ProcessEvent>, socket: WebSocket): Promise<void> => {
  let live = false;
  for await (const event of events) {
    if (event.type === "output") await sendFrame(socket, outputFrame(event, live));
    else if (event.type === "keepalive") socket.ping();
    else {
      live ||= event.type === "live";
      await sendFrame(socket, wireEvent(event) ?? {});
    }
  }
};

/**
 * Takes the client's messages to the process one after the other, and reads no more than may wait. What has arrived is
 * taken although its client has left since, for its time, and up to the first that the process doesn't take.
 */
const takeInput = (processes: ProcessUseCases, attached: ProcessTarget, socket: WebSocket): void => {
  const taking = new AbortController();
  const target = { ...attached, signal: taking.signal };
  socket.once("close", () => {
    setTimeout(() => taking.abort(new Error("the client went away long ago")), leftInputMs).unref();
  });
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  socket.on("message", (data: Buffer, binary: boolean) => {
    const message = binary ? data : parseMessage(data);
    if (message === undefined) {
      endSocket(socket, 1007, "invalid message");
      return;
    }
    const weight = data.length + messageWeight;
    waiting += weight;
    if (waiting > waitingInputBytesMax) socket.pause();
    tail = tail
      .then(() => act(processes, target, message))
      .catch((error: unknown) => {
        if (socket.readyState !== socket.OPEN) taking.abort(error);
        else return refused(socket, error);
      })
      .finally(() => {
        waiting -= weight;
        if (waiting <= waitingInputBytesMax) socket.resume();
      });
  });
};

const parseMessage = (data: Buffer): ProcessSocketMessage | undefined => {
  try {
    return ProcessSocketMessage.parse(JSON.parse(data.toString("utf8")));
  } catch {
    return undefined;
  }
};

/** Says what became of input that the process didn't take; one that doesn't read at all ends the conversation. */
const refused = async (socket: WebSocket, error: unknown): Promise<void> => {
  await sendFrame(socket, failureMessage(error)).catch(() => {});
  if (!(error instanceof StacyError) || error.reason !== "process_state_conflict")
    endSocket(socket, 1008, "input refused");
};

const act = async (
  processes: ProcessUseCases,
  target: ProcessTarget,
  message: Buffer | ProcessSocketMessage,
): Promise<void> => {
  if (Buffer.isBuffer(message)) return await processes.sendInput(target, message);
  switch (message.type) {
    case "stdin_close":
      return await processes.closeStdin(target);
    case "resize":
      return await processes.resize(target, message);
    case "signal":
      return await processes.signal(target, constants.signals[message.signal], true);
  }
};
