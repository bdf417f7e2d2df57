import { type ErrorReason, type Operation, StacyError } from "@stacyvm/contract";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { jsonBodyBytesMax, jsonBodyTimeoutMs } from "./bounds.ts";
import { checkAnswer } from "./check-answer.ts";
import { decodersFor } from "./decode.ts";
import type { AnyAnswer, OperationRequest } from "./handler.ts";
import type { InFlight } from "./in-flight.ts";
import { encodeJson } from "./json.ts";
import type { ProxyCarrier } from "./port-proxy.ts";
import { readBody, streamBody } from "./request-body.ts";
import { sendParts } from "./send-parts.ts";
import { attachment } from "./served-content.ts";
import type { Upgrades } from "./upgrade.ts";

/** A handler without its row's types. */
export type ErasedHandler = (request: OperationRequest, socket?: unknown) => Promise<unknown>;

export interface BindOptions {
  readonly app: FastifyInstance;
  readonly operation: Operation;
  readonly handler: ErasedHandler;
  readonly inFlight: InFlight;
  readonly upgrades: Upgrades;
  /** Checks every answer against its row, as tests do. */
  readonly validateResponses: boolean;
  readonly bodyTimeoutMs?: number;
}

/** `/a/{id}` as the router writes it. */
const routerPath = (path: string): string => path.replace(/\{([^}]+)\}/g, ":$1");

/** The row's routes; behind a proxy the last segment is the rest of the address, whatever it holds, or nothing. */
const routesOf = ({ path, stream, trailingSlash }: Operation): readonly string[] => {
  if (stream === "proxy") {
    const fixed = path.slice(0, path.lastIndexOf("/"));
    return [fixed, `${fixed}/*`];
  }
  return [path, ...(trailingSlash ? [`${path}/`] : [])];
};

/** The rest of a proxied address comes under a name of the router's own. */
const named = (params: unknown): unknown => {
  const { "*": path, ...others } = params as Record<string, unknown>;
  return path === undefined || path === "" ? others : { ...others, path };
};

const send = async (reply: FastifyReply, operation: Operation, answer: AnyAnswer): Promise<FastifyReply> => {
  reply.code(answer.status);
  if (operation.untrusted) reply.header("Content-Disposition", attachment());
  for (const [name, value] of Object.entries(answer.headers ?? {})) reply.header(name, value);
  if ("body" in answer) return reply.header("Content-Type", "application/json").send(encodeJson(answer.body));
  if (!("stream" in answer)) return reply.send();
  reply.header("Content-Type", answer.contentType);
  return await sendParts(reply, answer);
};

/** Makes the route of one row: decode, call, answer. */
export const bindOperation = (options: BindOptions): void => {
  const { app, operation, handler, inFlight, upgrades } = options;
  const decoders = decodersFor(operation);
  const limits = {
    bytesMax: operation.bodyBytesMax ?? jsonBodyBytesMax,
    timeoutMs: options.bodyTimeoutMs ?? jsonBodyTimeoutMs,
  };

  const decode = async (request: FastifyRequest): Promise<OperationRequest> => {
    const { raw } = request;
    const isProxy = operation.stream === "proxy";
    const params = decoders.params(isProxy ? named(request.params) : request.params);
    // A proxied query is the app's.
    const query = isProxy ? {} : decoders.query(raw.url ?? "");
    const body =
      operation.body === "bytes"
        ? streamBody(raw)
        : operation.body === undefined
          ? undefined
          : decoders.body(await readBody(raw, limits));
    return {
      params: params as OperationRequest["params"],
      query: query as OperationRequest["query"],
      body: body as OperationRequest["body"],
      identity: request.identity,
      requestId: request.id,
      headers: request.headers,
      get signal() {
        return request.served.signal;
      },
      raw,
    };
  };

  const carrierOf = (request: FastifyRequest, reply: FastifyReply): ProxyCarrier => ({
    request: request.raw,
    headers: reply.getHeaders(),
    begin: () => {
      reply.hijack();
      return reply.raw;
    },
    takeSocket: () => {
      const taken = upgrades.take(request);
      if (taken !== undefined) reply.hijack();
      return taken;
    },
  });

  const serve = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    if (operation.stream === "sse" || operation.endless) inFlight.markEndless(request.served);
    const decoded = await decode(request);
    if (operation.stream === "websocket") {
      if (!upgrades.isPending(request.raw)) {
        reply.header("Upgrade", "websocket");
        throw new StacyError("upgrade_required", "this route speaks WebSocket only");
      }
      reply.hijack();
      await upgrades.accept(request, (socket) => handler(decoded, socket) as Promise<void>);
      return reply;
    }
    if (operation.stream === "proxy") {
      await handler(decoded, carrierOf(request, reply));
      return reply;
    }
    const answer = (await handler(decoded)) as AnyAnswer;
    if (options.validateResponses) checkAnswer(operation, answer);
    return await send(reply, operation, answer);
  };

  for (const path of routesOf(operation)) {
    app.route({ method: operation.method, url: routerPath(path), config: { operation }, handler: serve });
  }
};

/** Whether the row says that it may fail like this. */
export const declaresError = (operation: Operation, reason: ErrorReason, common: readonly ErrorReason[]): boolean =>
  operation.errors.includes(reason) || common.includes(reason);
