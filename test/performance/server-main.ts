/**
 * A control plane in a process of its own: configuration as JSON in the first argument, one line of JSON on descriptor 3
 * once it answers. Ends when its standard input does, which is also when whoever started it has died, and takes its
 * sandboxes and its data with it.
 */
import { writeSync } from "node:fs";
import { rm } from "node:fs/promises";
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
const stop = Promise.withResolvers<void>();
process.stdin.on("end", () => stop.resolve()).resume();
// A terminal's signals reach the whole group; what is made here is still to be undone.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.resolve());

/** What its own items made of no tenant; those of one are ended by who made them. */
const destroyOwn = async (url: string): Promise<void> => {
  const adminKey = keys["auth.admin_api_key"];
  const headers: Record<string, string> = adminKey === undefined ? {} : { "X-Admin-API-Key": adminKey };
  const listed = await fetch(`${url}/api/v1/sandboxes`, { headers });
  const sandboxes = (await listed.json()) as readonly { readonly id: string; readonly worker_id?: string }[];
  const own = sandboxes.filter((each) => each.worker_id === "local");
  for (const { id } of own) await fetch(`${url}/api/v1/sandboxes/${id}`, { method: "DELETE", headers });
};

try {
  const { config } = loadConfig({ overrides, env: {}, cwd: dataDir, home: dataDir });
  const images = await createImageStore({ storeDir: join(dataDir, "images"), aliases: {}, clock: systemClock });
  await images.importFrom("alpine:latest", imageTar, AbortSignal.timeout(60_000));

  const log = pino({ level: config.logging.level });
  await using server = await startControlPlane({ config, log, version: "v0.0.0-bench" });
  writeSync(3, `${JSON.stringify({ url: server.url, databasePath: config.database.path })}\n`);
  await stop.promise;
  await destroyOwn(server.url);
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
