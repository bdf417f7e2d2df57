// A control plane that a test can kill. Started by server-process.ts with the configuration as JSON in argv.
import { appendFileSync } from "node:fs";
import pino from "pino";
import { loadConfig } from "../../packages/server/src/config/load.ts";
import { startControlPlane } from "../../packages/server/src/control-plane.ts";

export interface ServerTask {
  readonly dataDir: string;
  /** Keys of the configuration as in a file; values as text. */
  readonly config: Readonly<Record<string, string>>;
  /** Gets the name of the step that ends the process, before it does. */
  readonly markerPath: string;
  /** Where the native programs are; the built ones where absent. */
  readonly nativeDir?: string;
}

const task = JSON.parse(process.argv[2] ?? "") as ServerTask;
const { config } = loadConfig({ overrides: task.config, env: {}, cwd: task.dataDir, home: task.dataDir });
const stop = Promise.withResolvers<void>();
process.once("SIGTERM", () => stop.resolve());
// Without its test nobody would end it.
process.once("disconnect", () => stop.resolve());

let wanted = "";
process.on("message", (step) => {
  wanted = String(step);
  process.send?.({ armed: wanted });
});
{
  await using server = await startControlPlane({
    config,
    log: pino({ level: "warn" }, pino.destination({ fd: 2, sync: true })),
    version: "v0.0.0-test",
    ...(task.nativeDir === undefined ? {} : { nativeDir: task.nativeDir }),
    failpoint: (step) => {
      if (step !== wanted) return;
      appendFileSync(task.markerPath, `${step}\n`);
      process.kill(process.pid, "SIGKILL");
    },
  });
  process.send?.({ url: server.url });
  await stop.promise;
}
process.removeAllListeners("message");
if (process.connected) process.disconnect();
