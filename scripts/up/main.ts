import { chmod, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import pino from "pino";
import { loadConfig } from "../../packages/server/src/config/load.ts";
import { ConfigError } from "../../packages/server/src/config/problem.ts";
import { startControlPlane } from "../../packages/server/src/control-plane.ts";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";
import { version } from "../../packages/server/src/main.ts";
import { explainHost } from "./explain-host.ts";
import { firstSandbox } from "./first-sandbox.ts";

const base = "stacyvm/base:latest";

const { values: flags } = parseArgs({
  options: {
    once: { type: "boolean", default: false },
    port: { type: "string" },
    data: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (flags.help) {
  console.log("npm run up -- [--once] [--port N] [--data DIR]");
  process.exit(0);
}

const temporary = flags.once && flags.data === undefined ? await mkdtemp(join(tmpdir(), "stacyvm-up-")) : undefined;
// Sandboxes' unprivileged uids pass through it.
if (temporary !== undefined) await chmod(temporary, 0o711);
const dataDir = flags.data ?? (temporary === undefined ? undefined : join(temporary, "data"));

/** Images are kept between runs also where the data isn't. */
const overrides = {
  ...(dataDir === undefined ? {} : { data_dir: dataDir, "database.path": join(dataDir, "stacyvm.db") }),
  ...(flags.port === undefined ? (flags.once ? { "server.port": "0" } : {}) : { "server.port": flags.port }),
  ...(temporary === undefined ? {} : { "images.store_dir": "/var/lib/stacyvm/images" }),
  "logging.level": "warn",
};

try {
  process.exitCode = await up();
} catch (error) {
  process.exitCode = 1;
  if (error instanceof ConfigError) console.error(error.message);
  else if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
    console.error("The port is taken: another server runs there already. Try: npm run up -- --port 7424");
  } else throw error;
} finally {
  if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
}

async function up(): Promise<number> {
  const problems = await explainHost();
  if (problems.length > 0) {
    console.error("No sandbox can be started here:");
    for (const problem of problems) console.error(`  - ${problem}`);
    return 3;
  }
  const loaded = loadConfig({ overrides, home: homedir() }).config;
  const imagesDir = loaded.images.storeDir || join(loaded.dataDir, "images");
  const aliases = { "alpine:latest": base, ...loaded.images.aliases };
  await ensureBase(imagesDir);
  console.log(`image    alpine:latest stands for ${base} on this host (images.aliases)`);

  const stop = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.resolve());
  const config = { ...loaded, images: { ...loaded.images, aliases } };
  await using server = await startControlPlane({ config, version, log: pino({ level: config.logging.level }) });
  if (server.defaultProvider === "") {
    console.error("No provider works here; the log line above says what each one lacks.");
    return 3;
  }
  console.log(`server   ${server.url} (provider ${server.defaultProvider}, data in ${config.dataDir})`);
  await firstSandbox({ url: server.url, keep: !flags.once });
  if (flags.once) return 0;
  console.log("\nCtrl-C stops the server; sandboxes live on and answer again after the next start.");
  await stop.promise;
  console.log("\nstopping");
  return 0;
}

/** The one image that every first try needs: built here, because no registry may answer. */
async function ensureBase(imagesDir: string): Promise<void> {
  const images = await createImageStore({ storeDir: imagesDir, aliases: {}, clock: systemClock });
  if ((await images.list()).some((image) => image.reference.endsWith(base))) return;
  console.log("image    building a Debian base from this host's package sources (about a minute, once)");
  const startedAt = performance.now();
  await images.buildBase(base, {}, new AbortController().signal);
  console.log(`image    built in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
}
