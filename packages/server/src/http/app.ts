import type { Server as TlsServer } from "node:https";
import type { Operation } from "@stacyvm/contract";
import { commonErrors, isRequestId, StacyError } from "@stacyvm/contract";
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { TlsPair } from "../config/tls-files.ts";
import { logRequest } from "./access-log.ts";
import { bindOperation, declaresError, type ErasedHandler } from "./bind.ts";
import * as bounds from "./bounds.ts";
import { ContractBreach } from "./check-answer.ts";
import { createCors } from "./cors.ts";
import { failureOf, toStacyError } from "./errors.ts";
import { createFrontDoor } from "./front-door.ts";
import type { HostRules } from "./hosts.ts";
import type { Authenticator, Identity } from "./identity.ts";
import { type InFlight, ServedRequest } from "./in-flight.ts";
import { encodeJson } from "./json.ts";
import { createNotFound } from "./not-found.ts";
import { createRateLimit, type RateLimitOptions } from "./rate-limit.ts";
import "./request-context.ts";
import { safeHeaders, strictTransport } from "./served-content.ts";
import type { SessionSite } from "./session-site.ts";
import { tlsServerOptions, trackConnections } from "./tls-listener.ts";
import { closeIfUnread } from "./unread-body.ts";
import { createUpgrades, isWebSocketRequest } from "./upgrade.ts";

export interface AppOptions {
  /** The rows that are served. */
  readonly operations: readonly Operation[];
  /** One handler for each row, by its id (HandlersOf). */
  readonly handlers: object;
  readonly authenticator: Authenticator;
  readonly hosts: HostRules;
  readonly corsAllowedOrigins: readonly string[];
  readonly rates: RateLimitOptions;
  readonly sessionSite?: () => SessionSite | undefined;
  /** The application speaks TLS and nothing else; plain HTTP where absent. */
  readonly tls?: Pick<TlsPair, "cert" | "key">;
  readonly log: FastifyBaseLogger;
  readonly newRequestId: () => string;
  /** Checks every answer against its row: on in tests. */
  readonly validateResponses?: boolean;
  readonly inFlight: InFlight;
  readonly bodyTimeoutMs?: number;
}

/** Fails unless rows and handlers are the same set. */
const pairHandlers = (operations: readonly Operation[], handlers: object): ReadonlyMap<string, ErasedHandler> => {
  const byId = new Map<string, ErasedHandler>(Object.entries(handlers));
  const missing = operations.filter(({ id }) => typeof byId.get(id) !== "function").map(({ id }) => id);
  const ids = new Set(operations.map(({ id }) => id));
  const unknown = [...byId.keys()].filter((id) => !ids.has(id));
  if (missing.length > 0) throw new Error(`operations without a handler: ${missing.join(", ")}`);
  if (unknown.length > 0) throw new Error(`handlers without an operation: ${unknown.join(", ")}`);
  return byId;
};

/** The HTTP application over the operation table. Listening and closing are the caller's. */
export const createApp = (options: AppOptions): FastifyInstance => {
  const { operations, authenticator, log } = options;
  const handlers = pairHandlers(operations, options.handlers);
  const validateResponses = options.validateResponses ?? false;
  const { inFlight } = options;
  const upgrades = createUpgrades(inFlight);
  const frontDoor = createFrontDoor({
    authenticator,
    hosts: options.hosts,
    cors: createCors(options.corsAllowedOrigins),
    rates: createRateLimit(options.rates),
    ...(options.sessionSite && { sessionSite: options.sessionSite }),
  });

  const sendFailure = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { operation } = request.routeOptions.config;
    let shown = error;
    if (validateResponses && operation !== undefined) {
      const { reason } = toStacyError(error);
      if (!declaresError(operation, reason, commonErrors)) {
        shown = new ContractBreach(`${operation.id} doesn't declare the error ${reason}`, { cause: error });
      }
    }
    const failure = failureOf(shown, request.id);
    if (failure.level !== undefined) {
      log[failure.level]({ err: shown, reason: failure.body.reason, request_id: request.id }, "request failed");
    }
    reply.code(failure.status).removeHeader("Content-Disposition").header("Content-Type", "application/json");
    return reply.send(encodeJson(failure.body));
  };

  const listener = {
    maxHeaderSize: bounds.headerBytesMax,
    headersTimeout: bounds.headersTimeoutMs,
    connectionsCheckingInterval: bounds.connectionsCheckMs,
    shouldUpgradeCallback: isWebSocketRequest,
  };
  const tls = options.tls && tlsServerOptions(options.tls);
  const app: FastifyInstance = fastify({
    loggerInstance: log,
    logController: new fastify.LogController({ disableRequestLogging: true }),
    requestIdHeader: false,
    genReqId: (request) => {
      const sent = request.headers["x-request-id"];
      return typeof sent === "string" && isRequestId(sent) ? sent : options.newRequestId();
    },
    return503OnClosing: false,
    exposeHeadRoutes: false,
    forceCloseConnections: false,
    keepAliveTimeout: bounds.keepAliveTimeoutMs,
    requestTimeout: 0,
    ...((tls === undefined ? { http: listener } : { https: { ...listener, ...tls } }) as object),
    routerOptions: {
      maxParamLength: bounds.pathSegmentMax,
      querystringParser: () => ({}),
    },
    frameworkErrors: (error, request, reply) => {
      sendFailure(error, request, reply);
    },
  });
  app.server.maxConnections = bounds.connectionsMax;
  app.server.maxHeadersCount = bounds.headersMax * 2;
  const connections = tls && trackConnections(app.server as TlsServer);
  upgrades.listen(app, app.server);

  app.decorateRequest("identity");
  app.decorateRequest("served");
  app.removeAllContentTypeParsers();
  // Bodies are read by the binding, by the row's own rules; Content-Type decides nothing.
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));

  app.addHook("onRequest", (request, reply, done) => {
    reply.header("X-Request-ID", request.id).headers(safeHeaders);
    if (tls !== undefined) reply.headers(strictTransport(request.headers.host));
    if (inFlight.closing) reply.header("Connection", "close");
    const { raw } = reply;
    const served = new ServedRequest({
      get begun() {
        return raw.headersSent;
      },
      cut: () => raw.destroy(),
    });
    request.served = served;
    inFlight.add(served);
    reply.raw.once("close", () => {
      inFlight.remove(served);
      if (!reply.raw.writableFinished) served.abort(new Error("the client has gone away"));
    });
    if (request.raw.headers["content-type"] !== undefined)
      request.raw.headers["content-type"] = "application/octet-stream";
    try {
      if (inFlight.closing) throw new StacyError("shutting_down", "the server is shutting down");
      const permission = request.routeOptions.config.operation?.permission;
      const entered = frontDoor.enter({ request, reply, permission });
      const goOn = (identity: Identity): void => {
        request.identity = identity;
        served.visitor = { identity, permission };
        done();
      };
      if (entered instanceof Promise) entered.then(goOn, done);
      else if (entered !== undefined) goOn(entered);
    } catch (error) {
      done(error as Error);
    }
  });
  app.addHook("onSend", (request, reply, payload, done) => {
    closeIfUnread(request, reply);
    done(null, payload);
  });
  app.addHook("onResponse", logRequest);
  app.addHook("preClose", async () => {
    // Nobody new from here on; a connection that is kept open is answered 503 above.
    app.server.close();
    await inFlight.drain();
    app.server.closeAllConnections();
    connections?.cut();
  });
  app.setErrorHandler(sendFailure);
  app.setNotFoundHandler(createNotFound(operations));

  for (const operation of operations) {
    const handler = handlers.get(operation.id);
    if (handler === undefined) continue;
    bindOperation({
      app,
      operation,
      handler,
      inFlight,
      upgrades,
      validateResponses,
      ...(options.bodyTimeoutMs === undefined ? {} : { bodyTimeoutMs: options.bodyTimeoutMs }),
    });
  }
  return app;
};
