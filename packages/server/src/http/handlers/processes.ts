import { constants } from "node:os";
import { type processOperations, StacyError, type StartProcessRequest } from "@stacyvm/contract";
import type { ExecExit } from "../../guest/guest.ts";
import type { ProcessOutput, ProcessRequest, ProcessTarget } from "../../orchestrator/processes.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { HandlersOf, OperationRequest } from "../handler.ts";
import { type OutputEncoding, processBytes, processLines, processServerSentEvents } from "../streams/process-output.ts";
import { callerOf, durationOf } from "./caller.ts";
import { wireProcess } from "./process-wire.ts";

type Asked = Pick<OperationRequest, "identity" | "signal">;

const sandboxOf = ({ params, identity, signal }: Asked & { readonly params: { readonly id: string } }) => ({
  id: params.id,
  caller: callerOf(identity),
  signal,
});

export const processOf = (
  request: Asked & { readonly params: { readonly id: string; readonly pid: string } },
): ProcessTarget => ({ ...sandboxOf(request), processId: request.params.pid });

const startRequest = (body: StartProcessRequest): ProcessRequest => ({
  command: body.command,
  args: body.args ?? [],
  stdin: body.stdin ?? false,
  ...(body.mode === undefined ? {} : { mode: body.mode }),
  ...(body.env === undefined ? {} : { env: body.env }),
  ...(body.workdir === undefined ? {} : { workdir: body.workdir }),
  ...(body.user === undefined ? {} : { user: body.user }),
  ...(body.tag === undefined ? {} : { tag: body.tag }),
  ...(body.pty === undefined ? {} : { pty: body.pty }),
  ...(body.timeout === undefined ? {} : { timeoutMs: durationOf(body.timeout, "invalid input: timeout") }),
});

const outputKinds = ["application/octet-stream", "text/event-stream", "application/x-ndjson"] as const;

/** The first kind that the client names; lines where it names none. */
const kindOf = (accept: string | undefined): (typeof outputKinds)[number] => {
  const wanted = (accept ?? "").split(",").map((part) => part.split(";", 1)[0]?.trim().toLowerCase());
  return outputKinds.find((kind) => wanted.includes(kind)) ?? "application/x-ndjson";
};

const lastEventId = (headers: OperationRequest["headers"]): number | undefined => {
  const sent = headers["last-event-id"];
  if (typeof sent !== "string" || sent === "") return undefined;
  if (!/^\d{1,15}$/.test(sent)) throw new StacyError("invalid_input", "invalid input: Last-Event-ID must be an offset");
  return Number(sent);
};

const outputAnswer = ({ events, offset }: ProcessOutput, kind: (typeof outputKinds)[number], how: OutputEncoding) => {
  const headers = { "Cache-Control": "no-cache", "X-Accel-Buffering": "no", "X-Output-Offset": String(offset) };
  if (kind === "application/x-ndjson") {
    return { status: 200, contentType: kind, headers, stream: processLines(events, how) } as const;
  }
  if (kind === "text/event-stream") {
    return { status: 200, contentType: kind, headers, stream: processServerSentEvents(events, how) } as const;
  }
  let exit: ExecExit | undefined;
  const stream = processBytes(events, (known) => {
    exit = known;
  });
  const trailers = {
    "X-Exit-Code": () => String(exit?.exitCode ?? ""),
    "X-Timed-Out": () => String(exit?.timedOut ?? ""),
  };
  return { status: 200, contentType: kind, headers, stream, trailers } as const;
};

/** Processes that outlive their connection. */
export const processHandlers = ({
  useCases,
}: {
  readonly useCases: UseCases;
}): Omit<HandlersOf<typeof processOperations>, "processes.socket"> => {
  const { processes } = useCases;
  return {
    "processes.start": async (request) => ({
      status: 201,
      body: wireProcess(await processes.start(sandboxOf(request), startRequest(request.body))),
    }),
    "processes.list": async (request) => ({
      status: 200,
      body: (await processes.list(sandboxOf(request))).map(wireProcess),
    }),
    "processes.get": async (request) => ({ status: 200, body: wireProcess(await processes.get(processOf(request))) }),
    "processes.output": async (request) => {
      const { query, headers } = request;
      const offset = query.offset ?? lastEventId(headers) ?? 0;
      const output = await processes.output(processOf(request), offset, query.follow === "true");
      return outputAnswer(output, kindOf(headers.accept), query.encoding ?? "text");
    },
    "processes.stdin": async (request) => ({
      status: 200,
      body: { written: await processes.writeStdin(processOf(request), request.body) },
    }),
    "processes.closeStdin": async (request) => {
      await processes.closeStdin(processOf(request));
      return { status: 200, body: { status: "closed" } };
    },
    "processes.signal": async (request) => {
      const { signal, tree = true } = request.body;
      await processes.signal(processOf(request), constants.signals[signal], tree);
      return { status: 200, body: { status: "sent" } };
    },
    "processes.resize": async (request) => {
      await processes.resize(processOf(request), request.body);
      return { status: 200, body: { status: "resized" } };
    },
    "processes.wait": async (request) => {
      const { timeout } = request.query;
      const timeoutMs = timeout === undefined ? undefined : durationOf(timeout, "invalid input: timeout");
      return { status: 200, body: wireProcess(await processes.wait(processOf(request), timeoutMs)) };
    },
  };
};
