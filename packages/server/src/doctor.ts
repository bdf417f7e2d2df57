import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type LoadOptions, loadConfig } from "./config/load.ts";
import { ConfigError } from "./config/problem.ts";
import { productionProblems } from "./config/production.ts";
import type { Config } from "./config/schema.ts";
import { cgroupFindings } from "./doctor/cgroups.ts";
import { dataFindings } from "./doctor/data.ts";
import { engineFindings } from "./doctor/engine.ts";
import { areas, type Finding, findingsOf, type Report, reportOf } from "./doctor/finding.ts";
import { createHost, type Host } from "./doctor/host.ts";
import { kernelFindings } from "./doctor/kernel.ts";
import { portFinding } from "./doctor/port.ts";
import { programFindings } from "./doctor/programs.ts";
import { runtimeFindings } from "./doctor/runtimes.ts";
import { tlsFindings } from "./doctor/tls.ts";
import { type ServerView, serverFindings, wallFindings } from "./doctor/walls.ts";
import { connectGuest } from "./guest/agent/connect-guest.ts";
import type { EngineImages } from "./images/image-store.ts";
import { systemClock } from "./lib/clock.ts";
import { findProgram } from "./lib/find-program.ts";
import { createProviderDirectory } from "./providers/directory.ts";
import { hostHelper } from "./providers/host-helper.ts";
import { createProviders, providerNames } from "./providers/registry.ts";

export type { Finding, Report, Status } from "./doctor/finding.ts";
export type { ServerView } from "./doctor/walls.ts";

export interface ExamineOptions extends LoadOptions {
  /** What a running server says; the examination works without one. */
  readonly server: ServerView;
  /** Another machine than this one, in tests. */
  readonly host?: Host;
  /** Directory of stacyvm-agent and stacyvm-host. */
  readonly nativeDir?: string;
}

const builtNativeDir = fileURLToPath(new URL("../../../build", import.meta.url));

/** Nothing is spawned here. */
const noImages: EngineImages = {
  name: (reference) => ({ reference, isLocal: false }),
  useStored: async () => undefined,
  asker: async () => ({ mustAsk: false, knows: () => false, learned: () => {}, login: async () => undefined }),
};

/** Looks whether this machine can run sandboxes, and how well they would be kept. Changes nothing. Never throws for what it finds. */
export async function examine(options: ExamineOptions): Promise<Report> {
  const { server, host = createHost(), nativeDir = builtNativeDir } = options;
  const { config, findings: configuration } = configured(options);
  const walls = config === undefined ? undefined : await examineWalls(config, nativeDir);
  // What oci needs of the machine is needed, unless another wall would do.
  const needsOci = (config?.providers.oci.enabled ?? true) && (walls?.chosen || "oci") === "oci";
  const findings = await Promise.all([
    configuration,
    programFindings(host, nativeDir, process.version),
    kernelFindings(host, {
      needsMounts: needsOci,
      filtersCalls: config === undefined || filtersCalls(config.providers),
    }),
    cgroupFindings(host, { needed: needsOci }),
    walls?.findings ?? [],
    ...(config === undefined ? [] : examineConfigured({ config, host, server, needsOci })),
    serverFindings(server),
  ]);
  return reportOf(findings.flat().toSorted((a, b) => areas.indexOf(a.area) - areas.indexOf(b.area)));
}

function examineConfigured({
  config,
  host,
  server,
  needsOci,
}: {
  readonly config: Config;
  readonly host: Host;
  readonly server: ServerView;
  readonly needsOci: boolean;
}): readonly Promise<readonly Finding[]>[] {
  const { providers } = config;
  const answers = server.providers !== undefined || server.problem !== "";
  return [
    runtimeFindings(host, {
      // One that isn't there is told by its provider.
      ociRuntime: needsOci || host.find(providers.oci.runtime) !== undefined ? ociRuntime(providers) : undefined,
      usesEngine: providers.docker.enabled,
    }),
    dataFindings(host, config),
    tlsFindings(config.server.tls, systemClock.now()),
    portFinding(config.server.host, config.server.port, answers).then((one) => [one]),
  ];
}

const ociRuntime = ({ oci }: Config["providers"]): string | undefined => (oci.enabled ? oci.runtime : undefined);

/** Every wall has our filter, PRoot's too, but for one of the operator's own: nobody knows what that holds. */
const filtersCalls = ({ docker }: Config["providers"]): boolean =>
  !(docker.enabled && docker.seccompProfile !== "default");

function configured(options: LoadOptions): {
  readonly config: Config | undefined;
  readonly findings: readonly Finding[];
} {
  const { ok, fail } = findingsOf("configuration");
  try {
    const loaded = loadConfig(options);
    const { config, sources } = loaded;
    const unfit = config.server.mode === "production" ? productionProblems(loaded) : [];
    const files = [...new Set(Object.values(sources).filter((source) => source.startsWith("/")))];
    return {
      config,
      findings: [
        ok("valid", files.length === 0 ? "the defaults are used; no file" : `${files.join(", ")} is valid`),
        ...unfit.map(({ path, message, hint }) => fail(path, message, hint)),
      ],
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const findings = error.problems.map(({ path, message, hint }) =>
      fail(path, message, hint === "" ? undefined : hint),
    );
    return { config: undefined, findings };
  }
}

/** The providers as a server would start them, over a directory that is only there for this. */
async function examineWalls(config: Config, nativeDir: string) {
  await using stack = new AsyncDisposableStack();
  const dataRoot = await mkdtemp(join(tmpdir(), "stacyvm-doctor-"));
  stack.defer(() => rm(dataRoot, { recursive: true, force: true }));
  await chmod(dataRoot, 0o711);
  const helper = stack.use(
    hostHelper({
      programPath: join(nativeDir, "stacyvm-host"),
      agentPath: join(nativeDir, "stacyvm-agent"),
      dataRoot,
      runtimePath: findProgram(config.providers.oci.runtime),
      runtimeArgs: config.providers.oci.runtimeArgs,
      prootPath: findProgram(config.providers.proot.prootBinary),
    }),
  );
  const providers = createProviders({
    config: config.providers,
    serverId: "doctor",
    helper,
    connectGuest,
    images: noImages,
    agentPath: join(nativeDir, "stacyvm-agent"),
    dataDir: dataRoot,
    onImageNote: () => {},
  });
  for (const provider of providers) stack.use(provider);
  const directory = await createProviderDirectory({ providers, wanted: config.providers.default, clock: systemClock });
  const candidates = await Promise.all(
    providers.map(async (provider) => ({ provider, fingerprint: await directory.fingerprint(provider.name) })),
  );
  const engines = candidates.flatMap(({ provider: { name, publicConfig }, fingerprint: { versions } }) =>
    name === "docker" ? engineFindings({ versions, remapsUsers: publicConfig.userns_remap === "true" }) : [],
  );
  return {
    /** Empty where none would do. */
    chosen: directory.defaultName,
    findings: [...engines, ...wallFindings(config.providers.default, candidates, providerNames)],
  };
}
