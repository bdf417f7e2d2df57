import { StacyError } from "@stacyvm/contract";
import type Docker from "dockerode";
import type { ConnectGuest } from "../../guest/guest.ts";
import type { EngineImages } from "../../images/image-store.ts";
import type { HostHelper } from "../host-helper.ts";
import type { OwnedRuntime, Provider, Runtime, SandboxSpec } from "../provider.ts";
import { agentStreams, transportOf, transportProblems } from "./agent-door.ts";
import { agentVolumes } from "./agent-volume.ts";
import { attachConsole, type Console } from "./console.ts";
import { doors } from "./door.ts";
import { egressDoors, egressLacks, egressWay } from "./egress-door.ts";
import { egressRelays } from "./egress-relay.ts";
import { connectEngine, engineWords, ignoreMissing, statusOf, unreachable } from "./engine.ts";
import { askFacts, capabilitiesOf, type EngineFacts, fingerprintOf } from "./engine-facts.ts";
import { engineImages, type PullNote } from "./images.ts";
import { containerName, type OwnerLabels, ownedBy, readLabels } from "./labels.ts";
import { launcher } from "./launch.ts";
import { dockerRuntime } from "./runtime.ts";
import { type DockerSettings, localProblems } from "./settings.ts";

export interface DockerProviderOptions {
  readonly serverId: string;
  readonly connectGuest: ConnectGuest;
  readonly images: EngineImages;
  /** Of this host; shown to every sandbox, read-only. */
  readonly agentPath: string;
  /** Absolute; made where it is missing, closed to every other user of the host. */
  readonly doorsDirectory: string;
  /** Of this host's program, which makes sandboxes' network devices. */
  readonly helper: HostHelper;
  /** Absolute; that program's own, for the doors of the egress gateway. */
  readonly egressDirectory: string;
  readonly settings: DockerSettings;
  /** Pulls, and trees loaded into the engine. */
  readonly onNote?: (note: PullNote) => void;
  readonly readyTimeoutMs?: number;
}

const defaultReadyTimeoutMs = 10_000;
const fingerprintTimeoutMs = 2_000;

/** Sandboxes as containers of a Docker engine. `docker exec` is never used: the agent does everything. */
export const dockerProvider = (options: DockerProviderOptions): Provider => {
  const { settings, serverId } = options;
  const engine = connectEngine({ address: settings.socket, tlsDir: settings.tlsDir });
  const door = doors(options.doorsDirectory);
  const egress = egressDoors({ directory: options.egressDirectory, helper: options.helper });
  const relays = egressRelays({ pathOf: (sandboxId) => egress.door(sandboxId).path, user: egress.user });
  const volumes = agentVolumes({ serverId, agentPath: options.agentPath });
  const streams = agentStreams({
    connectGuest: options.connectGuest,
    container: async (containerId) => (await engine.patient()).getContainer(containerId),
  });
  const images = engineImages({ images: options.images, onNote: options.onNote ?? (() => {}) });
  let facts: EngineFacts | undefined;
  let noEgress: string | undefined = "the engine has not answered yet";

  /** Runs calls of the engine; that it can't be reached is said in one way. */
  const asking = async <T>(work: (client: Docker) => Promise<T>): Promise<T> => {
    try {
      return await work(await engine.client());
    } catch (error) {
      const why = unreachable(error, settings.socket);
      if (why !== undefined) throw new StacyError("provider_unavailable", `docker: ${why}`, { cause: error });
      throw error;
    }
  };

  const ask = async (signal: AbortSignal): Promise<EngineFacts> => {
    const asked = await askFacts(await engine.anyVersion(), settings.runtime, signal);
    facts = { ...asked, missing: [...asked.missing, ...transportProblems(settings, asked)] };
    noEgress = await egressLacks(facts, transportOf(settings, facts.isDesktop), options.helper, signal);
    engine.agree(facts.api);
    return facts;
  };

  /** Removes the container, if it is there and ours, and everything that came with it. */
  const remove = async (sandboxId: string): Promise<void> => {
    await asking(async (client) => {
      const container = client.getContainer(containerName(serverId, sandboxId));
      try {
        const { Config: config } = await container.inspect();
        if (readLabels(config.Labels)?.serverId !== serverId) {
          throw new StacyError("state_conflict", `the container of ${sandboxId} doesn't carry this server's label`);
        }
        await container.remove({ force: true, v: true });
      } catch (error) {
        if (statusOf(error) === 409) await container.wait({ condition: "removed" }).catch(ignoreMissing);
        else ignoreMissing(error);
      }
    });
    relays.close(sandboxId);
    await Promise.all([door.remove(sandboxId), egress.remove(sandboxId)]);
  };

  const runtimeOf = (
    { sandboxId, streamKey, egress: way }: Pick<OwnerLabels, "sandboxId" | "streamKey" | "egress">,
    containerId: string,
    kept?: Console,
  ): Runtime => {
    const guest =
      streamKey === undefined
        ? options.connectGuest({ dial: door.dial(sandboxId), label: sandboxId })
        : streams.connect(sandboxId, containerId, streamKey);
    const doorBy = {
      device: () => egress.door(sandboxId),
      relay: () => relays.open(sandboxId, guest.ports.openSlot),
    } as const;
    return dockerRuntime({
      sandboxId,
      containerId,
      guest,
      egressDoor: way === undefined ? undefined : doorBy[way](),
      console: kept,
      container: async () => (await engine.client()).getContainer(containerId),
      remove: () => remove(sandboxId),
    });
  };

  const launch = launcher({
    ...options,
    readyTimeoutMs: options.readyTimeoutMs ?? defaultReadyTimeoutMs,
    engine,
    images,
    doors: door,
    egress,
    volumes,
    runtimeOf,
  });

  const refuseUnoffered = (spec: SandboxSpec, { missing }: EngineFacts): void => {
    if (missing.length > 0) throw new StacyError("provider_unavailable", `docker: ${missing.join("; ")}`);
    const { securityProfiles, profileRemedies, networks } = provider.capabilities;
    if (!securityProfiles.includes(spec.security)) {
      const remediation = profileRemedies?.[spec.security];
      throw new StacyError(
        "not_supported",
        `docker does not offer security profile ${spec.security} on this engine`,
        remediation === undefined ? {} : { remediation },
      );
    }
    if (!networks.includes(spec.network)) {
      throw new StacyError(
        "not_supported",
        `docker does not offer network ${spec.network} here${noEgress === undefined ? "" : `: ${noEgress}`}`,
      );
    }
  };

  const provider: Provider = {
    name: "docker",
    get capabilities() {
      return capabilitiesOf(facts, {
        networkMode: settings.networkMode,
        boundsDisk: facts?.boundsDisk ?? false,
        noEgress,
        egress: facts === undefined ? "device" : egressWay(facts, transportOf(settings, facts.isDesktop)),
      });
    },
    get capabilitiesKnown() {
      return facts !== undefined;
    },
    get publicConfig() {
      return {
        runtime: settings.runtime,
        network_mode: settings.networkMode,
        outbound_network: noEgress === undefined ? (provider.capabilities.egressLevel ?? "") : `none: ${noEgress}`,
        version: facts?.versions.docker ?? "",
        storage_driver: facts?.storageDriver ?? "",
        userns_remap: String(facts?.remapsUsers ?? false),
      };
    },

    async fingerprint(signal) {
      try {
        const told = fingerprintOf(await ask(AbortSignal.any([signal, AbortSignal.timeout(fingerprintTimeoutMs)])));
        const own = [...localProblems(options.agentPath, settings)];
        return { ...told, healthy: told.healthy && own.length === 0, missing: [...told.missing, ...own] };
      } catch (error) {
        if (error instanceof StacyError)
          return { healthy: false, missing: [`${error.message}: ${error.remediation}`], versions: {} };
        const why = unreachable(error, settings.socket) ?? `the engine at ${settings.socket}: ${engineWords(error)}`;
        return { healthy: false, missing: [why], versions: {} };
      }
    },

    async spawn(spec, signal) {
      return await asking(async () => {
        signal.throwIfAborted();
        const known = facts ?? (await ask(signal));
        refuseUnoffered(spec, known);
        try {
          return await launch(spec, known, signal);
        } catch (error) {
          await remove(spec.id).catch(() => {}); // Shown by list() then; what went wrong first is told.
          signal.throwIfAborted();
          if (error instanceof StacyError || statusOf(error) === undefined) throw error;
          throw new StacyError("spawn_failed", `the engine refused ${spec.id}: ${engineWords(error)}`, {
            cause: error,
          });
        }
      });
    },

    async attach(sandboxId, ref) {
      return await asking(async (client) => {
        if (ref.version !== dockerRuntime.refVersion) return undefined;
        const containerId = String(ref.data.containerId);
        const found = await client.getContainer(containerId).inspect().catch(ignoreMissing);
        const owner = readLabels(found?.Config.Labels);
        if (!found?.State.Running || owner?.serverId !== serverId || owner.sandboxId !== sandboxId) return undefined;
        const listening = (await engine.patient()).getContainer(containerId);
        const stdout = owner.streamKey === undefined;
        const kept = await attachConsole(listening, { stdout }).catch(() => undefined);
        return runtimeOf(owner, found.Id, kept);
      });
    },

    async list() {
      return await asking(async (client) => {
        // Looked at first: a sandbox that is made meanwhile must not count as a directory without a container.
        const directories = new Set([...(await door.list()), ...(await egress.list())]);
        const containers = await client.listContainers({ all: true, filters: ownedBy(serverId) });
        const owned = containers.flatMap((one): OwnedRuntime[] => {
          const owner = readLabels(one.Labels);
          if (owner === undefined) return [];
          return [
            {
              sandboxId: owner.sandboxId,
              ref: { version: dockerRuntime.refVersion, data: { containerId: one.Id } },
              generation: owner.generation,
              alive: one.State === "running",
              createdAtMs: one.Created * 1000,
              rootfsPath: "",
            },
          ];
        });
        const ids = new Set(owned.map(({ sandboxId }) => sandboxId));
        const halfMade = [...directories].filter((id) => !ids.has(id)).map(withoutContainer);
        return [...owned, ...halfMade];
      });
    },

    reap: (sandboxId) => remove(sandboxId),
    async [Symbol.asyncDispose]() {
      relays[Symbol.dispose]();
      streams.leave();
      engine[Symbol.dispose]();
    },
  };
  return provider;
};

const withoutContainer = (sandboxId: string): OwnedRuntime => ({
  sandboxId,
  ref: { version: dockerRuntime.refVersion, data: { containerId: "" } },
  generation: 0,
  alive: false,
  createdAtMs: 0,
  rootfsPath: "",
});
