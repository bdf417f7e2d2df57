import { createServer } from "node:net";
import { StacyError } from "@stacyvm/contract";
import { loadConfig } from "../../packages/server/src/config/load.ts";
import { ConfigError } from "../../packages/server/src/config/problem.ts";
import type { Config } from "../../packages/server/src/config/schema.ts";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { normaliseReference } from "../../packages/server/src/images/references.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";
import { serve } from "../../packages/server/src/main.ts";
import { baseReference, firstImage } from "./image.ts";
import { parseUpOptions, usage } from "./options.ts";
import { bold, dim, printable } from "./terminal.ts";
import { destroySandbox, takeTour, unusableProviders } from "./tour.ts";

/** A failure that needs no stack: what was found and what would help. */
class Explained extends Error {}

try {
  process.exitCode = await up(process.argv.slice(2));
} catch (error) {
  const isExplained = error instanceof Explained || error instanceof ConfigError || error instanceof TypeError;
  if (error instanceof StacyError && error.remediation !== undefined)
    console.error(`${error.message}\n  ${error.remediation}`);
  else console.error(isExplained ? error.message : error);
  process.exitCode = 1;
}

async function up(argv: readonly string[]): Promise<number> {
  const options = parseUpOptions(argv, process.cwd());
  if (options === "help") {
    console.log(usage);
    return 0;
  }
  // The server's own log would drown the tour; warnings still show.
  const env = { STACYVM_LOGGING_LEVEL: "warn", ...process.env };
  const overrides = { ...options.overrides };
  let { config } = loadConfig({ overrides, env });
  await refuseTakenPort(config);

  overrides["images.aliases"] = await aliasesFor(config);
  ({ config } = loadConfig({ overrides, env }));
  const tour = { apiKey: config.auth.apiKey?.reveal(), image: config.defaults.image };
  let outcome = 0;
  const shown = Promise.withResolvers<void>();
  const served = serve({
    overrides,
    env,
    onReady: ({ url, defaultReason }) => {
      console.log(`${bold("StacyVM")} serves at ${bold(url)}, data in ${config.dataDir}`);
      console.log(`${dim(printable(`Walls: ${defaultReason}`))}\n`);
      show(url)
        .catch((error: unknown) => {
          console.error(error instanceof Error ? printable(error.message) : error);
          outcome = 1;
        })
        .finally(shown.resolve);
    },
  });
  async function show(url: string): Promise<void> {
    for (const { name, why } of await unusableProviders({ url, ...tour }))
      console.log(dim(`  ${name} can't be used here: ${printable(why)}\n`));
    const id = await takeTour({ url, ...tour });
    if (options !== "help" && options.once) await destroySandbox({ url, ...tour }, id);
    else console.log(nextThings(url, id));
  }
  await Promise.race([served, shown.promise]);
  // Both handlers end the server in the same orderly way.
  if (options.once || outcome !== 0) process.kill(process.pid, "SIGTERM");
  await served;
  return outcome;
}

/** The alias setting with the default image among it where no registry has that image. */
async function aliasesFor(config: Config): Promise<string> {
  const { aliases, storeDir, insecureRegistries, internalRegistries } = config.images;
  const image = config.defaults.image;
  const isAliased = Object.keys(aliases).some((name) => normaliseReference(name) === normaliseReference(image));
  if (isAliased) return JSON.stringify(aliases);
  const images = await createImageStore({
    storeDir,
    aliases,
    clock: systemClock,
    registries: { insecure: insecureRegistries, internal: internalRegistries },
  });
  const report = (line: string) => console.log(dim(`  ${printable(line)}`));
  const signal = new AbortController().signal;
  const found = await firstImage(images, image, report, signal).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Explained(
      `No first image: ${printable(why)}\n  would help: a registry that answers, or a root file system: stacyvm image import ${image} <file>`,
    );
  });
  if (found.kind !== "base") return JSON.stringify(aliases);
  console.log(`  ${image} stands for ${baseReference} on this machine, because no registry gave ${image}.`);
  console.log(
    dim(
      `  To keep that with other ways to start, put into stacyvm.yaml: images: {aliases: {"${image}": "${baseReference}"}}\n`,
    ),
  );
  return JSON.stringify({ ...aliases, [image]: baseReference });
}

async function refuseTakenPort(config: Config): Promise<void> {
  const { host, port } = config.server;
  const probe = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    probe.once("error", resolve);
    probe.listen({ host, port }, () => probe.close(() => resolve(undefined)));
  });
  if (error === undefined) return;
  if (error.code === "EADDRINUSE") {
    throw new Explained(
      `Port ${port} on ${host} is taken, perhaps by another StacyVM.\n  would help: end that one, or take another port: npm run up -- --port ${port + 1}`,
    );
  }
  throw new Explained(`Can't listen on ${host} port ${port}: ${error.message}`);
}

function nextThings(url: string, id: string): string {
  return `
Next:
  curl -s ${url}/api/v1/sandboxes/${id}/exec -H 'Content-Type: application/json' -d '{"command":"cat /etc/os-release"}'
  curl -s ${url}/api/v1/sandboxes -H 'Content-Type: application/json' -d '{"ttl":"5m"}'
  curl -s -X DELETE ${url}/api/v1/sandboxes/${id}

Ctrl-C ends the server; sandboxes live on until they expire.`;
}
