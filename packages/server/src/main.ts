import pino from "pino";
import { type LoadOptions, loadConfig } from "./config/load.ts";
import { requireProduction } from "./config/production.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";
import { logLevel } from "./telemetry/log-level.ts";

export const version = "v0.2.0";

export interface ServeOptions extends LoadOptions {
  /** Called once the server answers. */
  readonly onReady?: (server: ControlPlane) => void;
}

/** Runs the control plane until SIGINT or SIGTERM; resolves when it has drained. Sandboxes live on. */
export async function serve(options: ServeOptions = {}): Promise<void> {
  const loaded = loadConfig(options);
  requireProduction(loaded);
  const { config } = loaded;
  const log = pino({ level: logLevel(config.logging.level) });
  const stop = Promise.withResolvers<string>();
  // Not once: Ctrl-C reaches us from the terminal and again from the launcher, and the second must not cut the drain short.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.resolve(signal));
  await using server = await startControlPlane({ config, log, version });
  log.info({ url: server.url, default_provider: server.defaultProvider, version }, "serving");
  options.onReady?.(server);
  log.info({ signal: await stop.promise }, "shutting down");
}
