// Plain JavaScript that Node 20 can start: makes everything that is not run from source.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureGo } from "./setup/go.js";
import { buildNative } from "./setup/native.js";
import { nodePath, root, withDependencies } from "./setup/paths.js";
import { orStop, SetupStop } from "./setup/say.js";

await orStop(() => {
  buildNative(ensureGo());

  const sdkBuild = join(root, "packages", "sdk", "scripts", "build.ts");
  const node = nodePath();
  if (node === undefined) throw new SetupStop(["found: no dependencies", "would help: npm ci"]);
  if (existsSync(sdkBuild)) {
    const { status } = spawnSync(node, [sdkBuild], {
      cwd: root,
      env: withDependencies(node),
      stdio: ["ignore", 2, 2],
    });
    if (status !== 0) throw new SetupStop(["failed: the SDK could not be built; what it said stands above"]);
  }
  if (!existsSync(join(root, "node_modules", ".bin", "stacyvm"))) {
    throw new SetupStop(["found: node_modules/.bin/stacyvm is missing", "would help: npm ci"]);
  }
});
