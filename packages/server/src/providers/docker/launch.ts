import { StacyError } from "@stacyvm/contract";
import { nonce } from "../../lib/id.ts";
import { agentUid } from "../hardening.ts";
import type { Runtime, SandboxSpec } from "../provider.ts";
import { transportOf } from "./agent-door.ts";
import type { agentVolumes } from "./agent-volume.ts";
import { attachConsole, type Console } from "./console.ts";
import { containerConfig } from "./container-config.ts";
import type { Doors } from "./door.ts";
import { type EgressDoors, egressWay } from "./egress-door.ts";
import { type Engine, engineWords } from "./engine.ts";
import type { EngineFacts } from "./engine-facts.ts";
import type { EngineImage, engineImages } from "./images.ts";
import { containerLabels, containerName, type OwnerLabels } from "./labels.ts";
import { type DockerSettings, seccompContent } from "./settings.ts";
import { workspaceImages } from "./workspace-image.ts";

export interface LauncherOptions {
  readonly serverId: string;
  readonly agentPath: string;
  readonly settings: DockerSettings;
  readonly engine: Engine;
  readonly images: ReturnType<typeof engineImages>;
  readonly doors: Doors;
  readonly egress: EgressDoors;
  readonly volumes: ReturnType<typeof agentVolumes>;
  readonly readyTimeoutMs: number;
  /** With a key where the agent is reached by its container's stdin and stdout. */
  readonly runtimeOf: (
    owner: Pick<OwnerLabels, "sandboxId" | "streamKey" | "egress">,
    containerId: string,
    kept: Console,
  ) => Runtime;
}

/** Lines of the console in the error of a sandbox that didn't start. */
const lastWords = 20;

/** From a specification to a container whose agent has answered. What a throw leaves, the caller removes. */
export const launcher = (options: LauncherOptions) => {
  const { settings, serverId, engine, images, doors, egress, volumes } = options;
  const workspaces = workspaceImages({ serverId });
  let seccomp: string | undefined;

  /** Root makes its working directory by itself, and a root that can't be written has one in memory. */
  const withWorkspace = async (image: EngineImage, { security }: SandboxSpec): Promise<EngineImage> => {
    const uid = agentUid(security);
    if (uid === 0 || settings.readOnlyRootfs) return image;
    return await workspaces.ensure(await engine.patient(), image, uid);
  };

  const create = async (spec: SandboxSpec, known: EngineFacts, signal: AbortSignal) => {
    const image = await withWorkspace(
      await images.resolve(await engine.patient(), spec.imageReference, spec, signal),
      spec,
    );
    const transport = transportOf(settings, known.isDesktop);
    const way = spec.network === "egress" ? egressWay(known, transport) : undefined;
    const streamKey = transport === "stream" ? nonce().toString("hex") : undefined;
    if (streamKey === undefined) await doors.prepare(spec.id);
    if (way !== undefined) await egress.prepare(spec.id, way);
    seccomp ??= seccompContent(settings.seccompProfile);
    const config = containerConfig({
      spec,
      settings: { ...settings, kind: known.kind, seccomp, boundsDisk: known.boundsDisk },
      labels: containerLabels(serverId, spec, image.digest, { streamKey, egress: way }),
      image,
      relaysEgress: way === "relay",
      door:
        streamKey === undefined
          ? {
              transport: "socket",
              agentFile: options.agentPath,
              directory: doors.path(spec.id),
              egress:
                way === "device" ? { directory: egress.path(spec.id), resolvConf: egress.resolvConfPath } : undefined,
            }
          : { transport: "stream", volume: await volumes.ensure(await engine.client(), image.id) },
    });
    // Not withdrawn with the spawn: what an engine makes after its caller has left, nobody would remove.
    const container = await (await engine.client()).createContainer({
      name: containerName(serverId, spec.id),
      ...config,
    });
    signal.throwIfAborted();
    const listening = (await engine.patient()).getContainer(container.id);
    const stdout = streamKey === undefined; // Elsewhere it carries the agent's connections.
    const kept = await attachConsole(listening, { stdout });
    return { container, image, streamKey, way, kept };
  };

  /** Resolves when the agent has answered, nothing else has run, and the wall is what it should be. */
  const begin = async (
    { container, streamKey, way, kept }: Awaited<ReturnType<typeof create>>,
    spec: SandboxSpec,
    signal: AbortSignal,
  ): Promise<Runtime> => {
    const made = options.runtimeOf({ sandboxId: spec.id, streamKey, egress: way }, container.id, kept);
    const refused = new AbortController();
    const within = AbortSignal.any([signal, kept.ended, refused.signal]);
    let silence: NodeJS.Timeout | undefined;
    const starting = container.start().then(
      () => {
        // An engine with much to do takes its time; from here on it's the agent that does.
        silence = setTimeout(() => refused.abort(), options.readyTimeoutMs);
        return undefined;
      },
      (error: unknown) => {
        refused.abort();
        return { error };
      },
    );
    try {
      // The agent answers a good while before the engine does.
      if (streamKey === undefined) await doors.opened(spec.id, within);
      await made.guest.ready(within);
      if (streamKey === undefined) await doors.seal(spec.id);
      if (way === "device") await egress.open(spec.id, within);
      if (spec.security === "default") await requireMappedRoot(made, within);
      const refusal = await starting;
      if (refusal !== undefined) throw refusal.error;
      return made;
    } catch (error) {
      await made.guest[Symbol.asyncDispose]();
      kept[Symbol.dispose]();
      // What is being started can't be removed.
      const refusal = await starting;
      signal.throwIfAborted();
      if (refusal !== undefined) throw refusal.error;
      if (error instanceof StacyError && error.reason !== "guest_unreachable") throw error;
      const why = kept.ended.aborted ? "it has ended" : engineWords(error);
      const words = [why, ...kept.lines(lastWords)].join("; ");
      throw new StacyError("spawn_failed", `the agent of ${spec.id} does not answer: ${words}`, { cause: error });
    } finally {
      clearTimeout(silence);
    }
  };

  return async (spec: SandboxSpec, known: EngineFacts, signal: AbortSignal): Promise<Runtime> => {
    const created = await create(spec, known, signal);
    const runtime = await begin(created, spec, signal);
    const { digest, env } = created.image;
    return { ...runtime, image: { digest, env } };
  };
};

/** An engine may have been started anew without its user namespace since it was asked. */
const requireMappedRoot = async ({ guest }: Runtime, signal: AbortSignal): Promise<void> => {
  const { body } = await guest.readFile("/proc/self/uid_map", {}, signal);
  let map = "";
  for await (const part of body) map += Buffer.from(part).toString();
  const [, outside] = map.trim().split(/\s+/).map(Number);
  if (outside !== undefined && outside > 0) return;
  throw new StacyError(
    "spawn_failed",
    "the engine no longer maps root to another user: its restart was not noticed yet",
    {
      remediation: "Ask again; the profile restricted needs no mapping.",
    },
  );
};
