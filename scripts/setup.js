// Plain JavaScript that Node 20 can start: `node scripts/setup.js [run|test|long]` brings the machine what the product
// (run), its tests or those that take longer need. Nothing is done twice.
import { ensureBrowser, ensureDocker, ensureGVisor, ensurePackages, mayUseEngine, packages } from "./setup/apt.js";
import { ensureGo, findGo, goPackage } from "./setup/go.js";
import { ensureClientRuntimes, ensureNodeModules } from "./setup/node-modules.js";
import { orStop, SetupStop } from "./setup/say.js";

const purpose = process.argv[2] ?? "run";

await orStop(() => {
  if (!["run", "test", "long"].includes(purpose)) throw new SetupStop(["usage: node scripts/setup.js [run|test|long]"]);
  if (process.platform !== "linux") {
    throw new SetupStop([`found: ${process.platform}`, "would help: Linux; sandboxes are made by its kernel"]);
  }
  ensureNodeModules();
  const isRoot = process.getuid?.() === 0;
  // What only root can bring is asked for at once.
  const go = isRoot || findGo() !== undefined ? {} : goPackage;
  // An engine makes sandboxes, and pulls their images, without any of the others.
  const wall = mayUseEngine() ? [] : ["proot"];
  ensurePackages(
    {
      ...(isRoot ? packages.run : packages.withoutRoot),
      ...(purpose === "run" ? {} : packages.test),
      ...(purpose === "long" ? packages.long : {}),
      ...go,
    },
    { essential: isRoot ? undefined : [...wall, ...Object.keys(go)] },
  );
  ensureGo();
  if (purpose === "run") return;
  ensureClientRuntimes();
  ensureBrowser();
  ensureGVisor();
  ensureDocker();
});
