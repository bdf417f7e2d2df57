import type { Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { openApiDocument, operations, operationTable } from "@stacyvm/contract";
import type { FastifyBaseLogger } from "fastify";
import { AuditBatch } from "./audit/audit-batch.ts";
import { createLimiter, isLimited, rateOf } from "./auth/create-limiter.ts";
import { LiveConfig } from "./config/live.ts";
import type { Config } from "./config/schema.ts";
import { judgeTlsPair, readTlsFiles, type TlsPair } from "./config/tls-files.ts";
import { openDataDir } from "./data-dir.ts";
import { createWarnings } from "./doctor/warnings.ts";
import { createEgress } from "./egress/create-egress.ts";
import { createOutbound } from "./egress/create-outbound.ts";
import { connectGuest } from "./guest/agent/connect-guest.ts";
import { createAccess } from "./http/access.ts";
import { createApp } from "./http/app.ts";
import { allHandlers } from "./http/handlers/all.ts";
import { reloadTlsPair } from "./http/tls-listener.ts";
import { createImageStore } from "./images/create-image-store.ts";
import { registryOptions } from "./images/registry-options.ts";
import { systemClock } from "./lib/clock.ts";
import { type Failpoint, noFailpoint } from "./lib/failpoint.ts";
import { findProgram } from "./lib/find-program.ts";
import { randomIds, randomKey } from "./lib/id.ts";
import { builtNativeDir } from "./lib/native-dir.ts";
import { isLoopback } from "./lib/networks.ts";
import { startBackground } from "./orchestrator/background.ts";
import { configuredLimits, configuredSpawnDefaults } from "./orchestrator/configured-limits.ts";
import type { Context } from "./orchestrator/context.ts";
import { Denials } from "./orchestrator/denials.ts";
import { heartbeat } from "./orchestrator/heartbeat.ts";
import { LiveRuntimes } from "./orchestrator/live-runtimes.ts";
import { createReconciler } from "./orchestrator/reconcile.ts";
import { traceSecrets } from "./orchestrator/secret-traces.ts";
import { SpawnQueue } from "./orchestrator/spawn-queue.ts";
import { tenantRegistries } from "./orchestrator/tenant-registries.ts";
import { createUseCases } from "./orchestrator/use-cases.ts";
import { type DefaultChoice, describeChoice } from "./providers/choice.ts";
import { createProviderDirectory } from "./providers/directory.ts";
import { hostHelper } from "./providers/host-helper.ts";
import { createProviders } from "./providers/registry.ts";
import { createVault } from "./secrets/create-vault.ts";
import { findSealer } from "./secrets/find-sealer.ts";
import { ensureKeyFile } from "./secrets/key-file.ts";
import { createStore } from "./store/create-store.ts";
import { databaseLocation } from "./store/open-database.ts";
import { createDiskSpace } from "./telemetry/disk-space.ts";
import { createEventBus } from "./telemetry/events.ts";
import { logLevel } from "./telemetry/log-level.ts";
import { createOperationMetrics } from "./telemetry/metrics.ts";

export interface ControlPlaneOptions {
  readonly config: Config;
  readonly log: FastifyBaseLogger;
  readonly version: string;
  /** Directory of stacyvm-agent and stacyvm-host. */
  readonly nativeDir?: string;
  readonly failpoint?: Failpoint;
  /** Checks every answer against its operation; for tests. */
  readonly validateResponses?: boolean;
}

export interface ControlPlane extends AsyncDisposable {
  /** For example http://127.0.0.1:7423. */
  readonly url: string;
  readonly defaultProvider: string;
  /** Why that one, in one line. */
  readonly defaultReason: string;
}

/** How long the first reconciliation may hold up the start, milliseconds. */
const reconcileTimeoutMs = 60_000;
/** How long the host program may take for the wall behind the gateway, milliseconds. */
const wallTimeoutMs = 10_000;
/** Name of this server as a worker. */
const localWorkerId = "local";

/** Starts everything in order and listens; disposing drains, keeps the sandboxes, and ends in reverse. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { config, log } = options;
  await using stack = new AsyncDisposableStack();
  const nativeDir = options.nativeDir ?? builtNativeDir;
  const tls = await tlsPair(config);

  const dataDir = stack.use(await openDataDir(config.dataDir));
  const { serverId } = dataDir;
  const store = stack.use(await createStore({ database: databaseLocation(config.database), nowMs: systemClock.now() }));
  const imagesDir = config.images.storeDir;
  const sandboxesDir = config.providers.oci.stateDir;
  const disks = createDiskSpace({
    directories: { data: config.dataDir, images: imagesDir, sandboxes: sandboxesDir },
    minFree: config.disk.minFree,
    onChange: ({ use, isLow, freeBytes }) => {
      const fields = { disk: use, free_bytes: freeBytes };
      if (isLow) log.warn(fields, "disk is nearly full, spawns or pulls are refused");
      else log.info(fields, "disk has room again");
    },
  });
  const sealer = findSealer({ ...config.server, dataDir: config.dataDir, embedded: store.dialect === "sqlite" });
  const tenants = tenantRegistries(store, sealer);
  const vault = createVault({
    store: store.secrets,
    sealer,
    otherRows: tenants.sealedRows,
    onKept: (about, error) => log.warn({ about, err: error }, "sealed with none of the keys, and kept as it is"),
    clock: systemClock,
  });
  const { oidcIssuer, oidcJwksUrl } = config.auth;
  const outbound = stack.use(
    createOutbound({ config: config.network, nativeDir, stateDir: sandboxesDir, known: [oidcIssuer, oidcJwksUrl] }),
  );
  const images = await createImageStore({
    storeDir: imagesDir,
    aliases: config.images.aliases,
    clock: systemClock,
    registries: registryOptions(config.images),
    tenants,
    outbound,
    requireRoom: () => disks.requireRoom("images"),
  });

  let reconcileSoon = (): void => {}; // Until the first round has been.
  const helper = stack.use(
    hostHelper({
      programPath: join(nativeDir, "stacyvm-host"),
      agentPath: join(nativeDir, "stacyvm-agent"),
      dataRoot: sandboxesDir,
      imagesRoot: imagesDir,
      runtimePath: findProgram(config.providers.oci.runtime),
      runtimeArgs: config.providers.oci.runtimeArgs,
      onEnded: () => reconcileSoon(),
      prootPath: findProgram(config.providers.proot.prootBinary),
      onExit: (reason) => log.warn({ reason }, "host program ended and will be restarted"),
    }),
  );
  const providers = createProviders({
    config: config.providers,
    serverId,
    helper,
    connectGuest,
    images,
    agentPath: join(nativeDir, "stacyvm-agent"),
    dataDir: config.dataDir,
    onImageNote: (note) => log.info(note, "image for an engine"),
  });
  for (const provider of providers) stack.use(provider);
  const directory = await createProviderDirectory({
    providers,
    wanted: config.providers.default,
    clock: systemClock,
    warnings: createWarnings(config.providers.oci.runtime),
  });
  tellChoice(directory.choice, log);
  const events = createEventBus({ clock: systemClock });
  const denials = new Denials({ publish: events.publish, clock: systemClock });
  const audit = stack.use(
    new AuditBatch({
      store: store.audit,
      onFailure: (error, lost) => log.error({ err: error, lost }, "audit could not be written"),
    }),
  );
  const traceSecret = traceSecrets({
    store,
    clock: systemClock,
    audit: audit.add,
    onFailure: (error) => log.error({ err: error }, "a secret's use could not be noted"),
  });
  const egress = stack.use(
    createEgress({
      config: config.network,
      stateDir: sandboxesDir,
      nativeDir,
      hostKey: ensureKeyFile(join(config.dataDir, "egress.key"), randomKey()),
      clock: systemClock,
      onDecision: (sandboxId, decision) => {
        denials.tell(sandboxId, decision);
        traceSecret(sandboxId, decision);
      },
      raiseWall: async (wall) => {
        await helper.call("egress-wall", wall, AbortSignal.timeout(wallTimeoutMs));
      },
      onEnd: (reason) => log.warn({ reason }, "egress gateway ended and will be restarted"),
    }),
  );
  const live = stack.use(new LiveRuntimes({ provider: directory.get, egress, secrets: vault, denials }));
  const operationMetrics = createOperationMetrics({ clock: systemClock });
  const queue = new SpawnQueue({
    max: config.defaults.maxSpawnQueue,
    timeoutMs: config.defaults.spawnQueueTimeoutMs,
  });
  const { limiter, pruning } = createLimiter(config.rateLimit, { shared: store.rateBuckets, clock: systemClock, log });
  if (pruning !== undefined) stack.use(pruning);
  const liveConfig = new LiveConfig(config, (now) => {
    queue.configure({ max: now.defaults.maxSpawnQueue, timeoutMs: now.defaults.spawnQueueTimeoutMs });
    limiter.configure(rateOf(now.rateLimit));
    log.level = logLevel(now.logging.level);
  });
  const context: Context = {
    store,
    providers: directory,
    images,
    live,
    egress,
    secrets: vault,
    disks,
    clock: systemClock,
    ids: randomIds,
    limits: configuredLimits(() => liveConfig.current.defaults),
    spawnDefaults: configuredSpawnDefaults(() => liveConfig.current.defaults, config.providers.oci.pidsLimit),
    holderId: serverId,
    leaseTtlMs: config.leases.ttlMs,
    workerId: localWorkerId,
    publish: events.publish,
    observe: operationMetrics.observe,
    audit: audit.add,
    reconcileSoon: () => reconcileSoon(),
    failpoint: options.failpoint ?? noFailpoint,
    log,
  };
  await dataDir.bindTo(store.id, async () => {
    const lists = await Promise.all(providers.map((each) => each.list(AbortSignal.timeout(reconcileTimeoutMs))));
    return lists.some((owned) => owned.length > 0);
  });
  const useCases = createUseCases({ context, queue });
  await heartbeat(context);
  const reconciler = createReconciler(context);
  await reconciler.start(AbortSignal.timeout(reconcileTimeoutMs));

  const background = stack.use(
    startBackground({ config, liveConfig, context, queue, providers, reconcile: reconciler.round }),
  );
  reconcileSoon = background.reconcileSoon;
  vault.onChange(background.refreshSecretsSoon);

  let port = config.server.port;
  const access = stack.use(
    createAccess({ config, store, log, audit: audit.add, fetch: outbound.fetch, port: () => port }),
  );
  const { apiKeys, logins, tenancy, authenticator, inFlight, credentialAudit, addressOf } = access;
  const app = createApp({
    operations,
    inFlight,
    handlers: allHandlers({
      useCases,
      queue,
      store,
      directory,
      egress,
      events,
      operations: operationMetrics,
      limits: context.limits,
      spawnDefaults: context.spawnDefaults,
      rateLimit: () => liveConfig.current.rateLimit,
      rateCounters: () => limiter.counters,
      liveConfig,
      audit: audit.add,
      log,
      workerId: localWorkerId,
      clock: systemClock,
      version: options.version,
      dataDir: config.dataDir,
      disks,
      listImages: () => images.list(),
      openApi: openApiDocument(operationTable, options.version),
      authConfigured: authenticator.configured,
      apiKeys,
      credentialAudit,
      addressOf,
      sealCredential: tenants.seal,
      vault,
      ...logins,
      tenancy,
      ids: randomIds,
      issuer: config.auth.oidcIssuer,
      workerSigningKey: config.auth.workerSigningKey,
      newTokenId: randomIds.token,
      insecure: config.server.insecure,
      publicUrl: config.server.publicUrl,
      previewDomain: () => previewDomain(config.server.previewDomain, port, tls === undefined ? 80 : 443),
    }),
    authenticator,
    hosts: {
      loopback: isLoopback(config.server.host),
      names: [config.server.previewDomain, `*.${config.server.previewDomain}`],
      authorities: config.server.publicUrl === "" ? [] : [new URL(config.server.publicUrl).host],
      secure: tls !== undefined,
    },
    corsAllowedOrigins: config.server.corsAllowedOrigins,
    rates: {
      get limiter() {
        return isLimited(liveConfig.current.rateLimit) ? limiter : undefined;
      },
      keyBy: config.rateLimit.keyBy,
      penalties: access.penalties,
      addressOf,
      audit: credentialAudit,
    },
    sessionSite: logins.sessionSite,
    ...(tls && { tls }),
    log,
    newRequestId: randomIds.request,
    validateResponses: options.validateResponses ?? false,
  });
  stack.defer(() => app.close());
  if (tls !== undefined) {
    const server = app.server as TlsServer;
    stack.use(reloadTlsPair({ files: config.server.tls, first: tls, server, clock: systemClock, log }));
  }
  await app.listen({ host: config.server.host, port });
  port = (app.server.address() as AddressInfo).port;
  logins.checkPublicUrl();
  const running = stack.move();
  return {
    url: `${tls === undefined ? "http" : "https"}://${config.server.host.includes(":") ? `[${config.server.host}]` : config.server.host}:${port}`,
    defaultProvider: directory.defaultName,
    defaultReason: describeChoice(directory.choice),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Undefined where the server speaks plain HTTP. */
async function tlsPair({ server: { tls } }: Config): Promise<TlsPair | undefined> {
  return tls.certFile === "" ? undefined : judgeTlsPair(tls, await readTlsFiles(tls), systemClock.now());
}

function tellChoice(choice: DefaultChoice, log: FastifyBaseLogger): void {
  const reasons = Object.fromEntries(choice.verdicts.map(({ name, reason }) => [name, reason]));
  const fields = { wanted: choice.wanted, default_provider: choice.name, reasons };
  if (choice.name === "") log.warn(fields, "no provider can be the default");
  else log.info(fields, "default provider chosen");
}

/** With the port where it isn't the scheme's usual one, so that clients build an address that works. */
const previewDomain = (domain: string, port: number, usual: number): string =>
  domain === "" || port === usual ? domain : `${domain}:${port}`;
