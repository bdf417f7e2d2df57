import type { ExecRequest as ExecBody, execInSandbox } from "@stacyvm/contract";
import type { ExecExit } from "../../guest/guest.ts";
import { formatDuration } from "../../lib/duration.ts";
import type { ExecRequest } from "../../orchestrator/exec.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { Handler } from "../handler.ts";
import { execLines, execStdout } from "../streams/exec-lines.ts";
import { callerOf, durationOf } from "./caller.ts";

/** The use case's request from the wire's. Throws invalid_input for a timeout that is no duration. */
export const execRequest = (body: ExecBody): ExecRequest => ({
  command: body.command ?? "",
  args: body.args ?? [],
  ...(body.mode === undefined ? {} : { mode: body.mode }),
  ...(body.env === undefined ? {} : { env: body.env }),
  ...(body.workdir === undefined ? {} : { workdir: body.workdir }),
  ...(body.user === undefined ? {} : { user: body.user }),
  ...(body.stdin === undefined ? {} : { stdin: body.stdin }),
  ...(body.max_output_bytes === undefined ? {} : { maxOutputBytes: body.max_output_bytes }),
  ...(body.timeout === undefined || body.timeout === ""
    ? {}
    : { timeoutMs: durationOf(body.timeout, "invalid input: parsing exec timeout") }),
});

const wantsBytes = (accept: string | undefined): boolean =>
  accept?.split(",").some((part) => part.trim().split(";")[0] === "application/octet-stream") ?? false;

/** One primitive, three views: a document, lines, or stdout itself with the exit in trailers. */
export const execHandler =
  ({ useCases }: { readonly useCases: UseCases }): Handler<typeof execInSandbox> =>
  async ({ params, body, headers, identity, signal }) => {
    const request = execRequest(body);
    const caller = callerOf(identity);
    if (wantsBytes(headers.accept)) {
      let exit: ExecExit | undefined;
      const { events } = await useCases.execStream(params.id, request, caller, signal);
      return {
        status: 200,
        contentType: "application/octet-stream",
        stream: execStdout(events, (known) => {
          exit = known;
        }),
        trailers: {
          "X-Exit-Code": () => String(exit?.exitCode ?? ""),
          "X-Timed-Out": () => String(exit?.timedOut ?? ""),
          "X-Truncated": () => String(exit?.truncated ?? ""),
        },
      };
    }
    if (body.stream === true) {
      const { events } = await useCases.execStream(params.id, request, caller, signal);
      return {
        status: 200,
        contentType: "application/x-ndjson",
        headers: { "Cache-Control": "no-cache" },
        stream: execLines(events, params.id),
      };
    }
    const result = await useCases.exec(params.id, request, caller, signal);
    return {
      status: 200,
      body: {
        exit_code: result.exitCode,
        stdout: Buffer.from(result.stdout).toString("utf8"),
        stderr: Buffer.from(result.stderr).toString("utf8"),
        duration: formatDuration(result.durationMs),
        timed_out: result.timedOut,
        truncated: result.truncated,
      },
    };
  };
