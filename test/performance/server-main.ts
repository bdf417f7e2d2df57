/**
 * A control plane in a process of its own: configuration as JSON in the first argument, one line of JSON on descriptor 3
 * once it answers, ends on SIGTERM.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import pino from "pino";
import { loadConfig } from "../../packages/server/src/config/load.ts";
import { startControlPlane } from "../../packages/server/src/control-plane.ts";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";

const { dataDir, imageTar, keys } = JSON.parse(process.argv[2] ?? "") as {
  readonly dataDir: string;
  readonly imageTar: string;
  readonly keys: Readonly<Record<string, string>>;
};
const overrides = { data_dir: dataDir, "server.port": "0", ...keys };
const { config } = loadConfig({ overrides, env: {}, cwd: dataDir, home: dataDir });
const images = await createImageStore({ storeDir: join(dataDir, "images"), aliases: {}, clock: systemClock });
await images.importFrom("alpine:latest", imageTar, AbortSignal.timeout(60_000));

const stop = Promise.withResolvers<void>();
process.once("SIGTERM", () => stop.resolve());
const log = pino({ level: config.logging.level });
{
  await using server = await startControlPlane({ config, log, version: "v0.0.0-bench" });
  writeSync(3, `${JSON.stringify({ url: server.url, databasePath: config.database.path })}\n`);
  await stop.promise;
}
