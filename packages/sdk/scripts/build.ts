import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleDeclarations } from "./declarations.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** The first argument, for builds that must not touch the one in use. */
const dist = process.argv[2] ?? join(root, "dist");
const types = join(dist, "types");

rmSync(dist, { recursive: true, force: true });

const common = {
  entryPoints: [join(root, "src", "index.ts")],
  bundle: true,
  platform: "neutral",
  target: "es2022",
  legalComments: "none",
} as const;
await build({ ...common, format: "esm", outfile: join(dist, "index.js") });
await build({ ...common, format: "cjs", outfile: join(dist, "index.cjs") });

execFileSync("tsc", ["-p", join(root, "tsconfig.json"), "--outDir", types], { stdio: "inherit" });
const modules = new Map(
  readdirSync(types)
    .filter((name) => name.endsWith(".d.ts"))
    .map((name) => [name.replace(/\.d\.ts$/, ".ts"), readFileSync(join(types, name), "utf8")]),
);
const declarations = bundleDeclarations(modules, "index.ts");
for (const name of ["index.d.ts", "index.d.cts"]) writeFileSync(join(dist, name), declarations);
rmSync(types, { recursive: true });
