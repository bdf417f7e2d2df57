import { createHash } from "node:crypto";
import type { ServerOptions, Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { FastifyBaseLogger } from "fastify";
import { ConfigError } from "../config/problem.ts";
import { judgeTlsPair, readTlsFiles, type TlsFiles, type TlsPair, tlsExpiryWarningMs } from "../config/tls-files.ts";
import type { Clock } from "../lib/clock.ts";
import { every } from "../lib/every.ts";
import { handshakeTimeoutMs, tlsReloadIntervalMs } from "./bounds.ts";

/** The oldest version that is spoken, whatever Node's own options say. */
const minVersion = "TLSv1.2";

export const tlsServerOptions = ({ cert, key }: Pick<TlsPair, "cert" | "key">): ServerOptions => ({
  cert,
  key,
  minVersion,
  handshakeTimeout: handshakeTimeoutMs,
});

/** All connections, those in their handshake too, which no HTTP server knows of: a shutdown cuts what is left. */
export const trackConnections = (server: TlsServer): { readonly cut: () => void } => {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  return {
    cut: () => {
      for (const socket of open) socket.destroy();
    },
  };
};

export interface TlsReloadOptions {
  readonly files: TlsFiles;
  /** What the listener began with. */
  readonly first: TlsPair;
  readonly server: TlsServer;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  readonly intervalMs?: number;
}

const digestOf = ({ cert, key }: Pick<TlsPair, "cert" | "key">): string =>
  createHash("sha256").update(cert).update("\0").update(key).digest("hex");

/**
 * Looks at the files again and again, so that it doesn't matter how they are replaced. New connections get a new pair
 * that is right; open ones go on. A pair that isn't keeps the last one, and is told once.
 */
export const reloadTlsPair = (options: TlsReloadOptions): AsyncDisposable => {
  const { files, server, clock, log } = options;
  let looked = digestOf(options.first);
  let shown = options.first;
  let warned = "";
  let expiryTold = "";
  const warn = (error: unknown, about: string): void => {
    if (warned === about) return;
    warned = about;
    const problems = error instanceof ConfigError ? error.problems.map(({ message }) => message) : [String(error)];
    const fields = { problems, fingerprint: shown.fingerprint };
    log.warn(fields, "the new TLS certificate and key can't be used, the last ones stay");
  };
  const tellExpiry = (): void => {
    const leftMs = shown.expiresAtMs - clock.now();
    const state = leftMs <= 0 ? "expired" : leftMs < tlsExpiryWarningMs ? "soon" : "";
    if (state === "" || expiryTold === `${state} ${shown.fingerprint}`) return;
    expiryTold = `${state} ${shown.fingerprint}`;
    const fields = { expires_at: new Date(shown.expiresAtMs).toISOString(), fingerprint: shown.fingerprint };
    if (state === "soon") log.warn(fields, "the TLS certificate expires soon");
    else log.error(fields, "the TLS certificate has expired");
  };
  return every({
    intervalMs: options.intervalMs ?? tlsReloadIntervalMs,
    work: async () => {
      tellExpiry();
      let found: Pick<TlsPair, "cert" | "key">;
      try {
        found = await readTlsFiles(files);
      } catch (error) {
        return warn(error, "unreadable");
      }
      const digest = digestOf(found);
      if (digest === looked) {
        warned = "";
        return;
      }
      try {
        const pair = judgeTlsPair(files, found, clock.now());
        server.setSecureContext(tlsServerOptions(pair));
        shown = pair;
      } catch (error) {
        return warn(error, digest);
      }
      looked = digest;
      warned = "";
      const fields = { fingerprint: shown.fingerprint, expires_at: new Date(shown.expiresAtMs).toISOString() };
      log.info(fields, "TLS certificate replaced");
    },
    onFailure: (error) => log.error({ err: error }, "the TLS certificate could not be looked at"),
  });
};
