// Plain JavaScript that Node 20 can start: `node scripts/setup.js [run|test|long]` brings the machine what the product
// (run), its tests or those that take longer need. Nothing is done twice.
import { ensureBrowser, ensureDocker, ensureGVisor, ensurePackages, packages } from "./setup/apt.js";
import { ensureGo } from "./setup/go.js";
import { ensureClientRuntimes, ensureNodeModules } from "./setup/node-modules.js";
import { orStop, SetupStop } from "./setup/say.js";

const purpose = process.argv[2] ?? "run";

await orStop(() => {
  if (!["run", "test", "long"].includes(purpose)) throw new SetupStop(["usage: node scripts/setup.js [run|test|long]"]);
  if (process.platform !== "linux") {
    throw new SetupStop([`found: ${process.platform}`, "would help: Linux; sandboxes are made by its kernel"]);
  }
  ensureNodeModules();
  ensurePackages({
    ...packages.run,
    ...(purpose === "run" ? {} : packages.test),
    ...(purpose === "long" ? packages.long : {}),
  });
  ensureGo();
  if (purpose === "run") return;
  ensureClientRuntimes();
  ensureBrowser();
  ensureGVisor();
  ensureDocker();
});
