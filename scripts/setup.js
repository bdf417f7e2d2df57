// Plain JavaScript that Node 20 can start: `node scripts/setup.js [run|test]` brings the machine what the product
// (run) or its tests need. Nothing is done twice.
import { ensureBrowser, ensureGVisor, ensurePackages, packages } from "./setup/apt.js";
import { ensureGo } from "./setup/go.js";
import { ensureClientRuntimes, ensureNodeModules } from "./setup/node-modules.js";
import { orStop, SetupStop } from "./setup/say.js";

const purpose = process.argv[2] ?? "run";

await orStop(() => {
  if (purpose !== "run" && purpose !== "test") throw new SetupStop(["usage: node scripts/setup.js [run|test]"]);
  if (process.platform !== "linux") {
    throw new SetupStop([`found: ${process.platform}`, "would help: Linux; sandboxes are made by its kernel"]);
  }
  ensureNodeModules();
  ensurePackages(purpose === "run" ? packages.run : { ...packages.run, ...packages.test });
  ensureGo();
  if (purpose === "run") return;
  ensureClientRuntimes();
  ensureBrowser();
  ensureGVisor();
});
