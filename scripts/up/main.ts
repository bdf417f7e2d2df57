import { createServer } from "node:net";
import { StacyError } from "@stacyvm/contract";
import { loadConfig } from "../../packages/server/src/config/load.ts";
import { ConfigError } from "../../packages/server/src/config/problem.ts";
import type { Config } from "../../packages/server/src/config/schema.ts";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { normaliseReference } from "../../packages/server/src/images/references.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";
import { serve } from "../../packages/server/src/main.ts";
import { codeReference, firstImage } from "./image.ts";
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

  const aliases = await aliasesFor(config);
  overrides["images.aliases"] = JSON.stringify(aliases);
  ({ config } = loadConfig({ overrides, env }));
  const image = config.defaults.image;
  const tour = { apiKey: config.auth.apiKey?.reveal(), image, isForCode: isForCode(image, aliases) };
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
    const { id, hasNetwork } = await takeTour({ url, ...tour });
    if (options !== "help" && options.once) await destroySandbox({ url, ...tour }, id);
    else console.log(nextThings(url, id, { ...tour, hasNetwork }));
  }
  await Promise.race([served, shown.promise]);
  // Both handlers end the server in the same orderly way.
  if (options.once || outcome !== 0) process.kill(process.pid, "SIGTERM");
  await served;
  return outcome;
}

/** The aliases with the default image among them where it stands for one that is made here. */
async function aliasesFor(config: Config): Promise<Readonly<Record<string, string>>> {
  const { aliases, storeDir, insecureRegistries, internalRegistries } = config.images;
  const image = config.defaults.image;
  const isAliased = Object.keys(aliases).some((name) => normaliseReference(name) === normaliseReference(image));
  if (isAliased) return aliases;
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
  if (found.kind !== "made") return aliases;
  console.log(`  ${image} stands for ${found.reference} on this server.`);
  console.log(
    dim(
      `  To keep that with other ways to start, put into stacyvm.yaml: images: {aliases: {"${image}": "${found.reference}"}}\n` +
        `  For the image of that name instead: stacyvm image pull ${image}\n`,
    ),
  );
  return { ...aliases, [image]: found.reference };
}

/** Whether a name stands for what `build-base --variant code` made. */
function isForCode(image: string, aliases: Readonly<Record<string, string>>): boolean {
  const wanted = normaliseReference(image);
  const target = Object.entries(aliases).find(([name]) => normaliseReference(name) === wanted)?.[1] ?? image;
  return normaliseReference(target) === normaliseReference(codeReference);
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

function nextThings(
  url: string,
  id: string,
  { isForCode, hasNetwork }: { readonly isForCode: boolean; readonly hasNetwork: boolean },
): string {
  const exec = (command: string) =>
    `  curl -s ${url}/api/v1/sandboxes/${id}/exec -H 'Content-Type: application/json' -d '${JSON.stringify({ command })}'`;
  const first = isForCode
    ? [
        exec('python3 -c "print(6 * 7)"'),
        ...(hasNetwork ? [exec('pip install -q cowsay && python3 -c "import cowsay; cowsay.cow(42)"')] : []),
        exec('node -p "process.version" && git init --quiet mine && cd mine && git status'),
      ]
    : [exec("cat /etc/os-release")];
  const inside = isForCode
    ? "Inside are Python with pip, Node with npm, git, curl and a C toolchain: docs/images.md.\n"
    : "";
  const outside = hasNetwork ? "It reaches the public Internet and nothing of yours: docs/network.md.\n" : "";
  return `
Next:
${first.join("\n")}
  curl -s ${url}/api/v1/sandboxes -H 'Content-Type: application/json' -d '{"ttl":"5m"}'
  curl -s -X DELETE ${url}/api/v1/sandboxes/${id}

${inside}${outside}Ctrl-C ends the server; sandboxes live on until they expire.`;
}
