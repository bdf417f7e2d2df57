import { StacyError } from "@stacyvm/contract";
import type { ConnectGuest } from "../../guest/guest.ts";
import { agentUid } from "../hardening.ts";
import type { HostHelper, HostProbe, RuntimeKind } from "../host-helper.ts";
import { hostRuntimes } from "../host-runtime.ts";
import type { Capabilities, NetworkMode, Provider } from "../provider.ts";
import { runtimeSpec } from "./runtime-spec.ts";

export interface OciProviderOptions {
  readonly serverId: string;
  readonly helper: HostHelper;
  readonly connectGuest: ConnectGuest;
  /** Shown to operators; the helper was started with it. */
  readonly runtimePath: string;
  readonly readyTimeoutMs?: number;
}

/** What each kind of wall is in public words, and what it holds. */
const walls: Readonly<Record<RuntimeKind, Pick<Capabilities, "isolation" | "limits">>> = {
  container: {
    isolation: "container",
    limits: { memory: true, cpu: true, pids: true, disk: true, treeKill: "cgroup" },
  },
  gvisor: {
    isolation: "kernel",
    // Its processes are threads of one host process, so the host can't count them; memory bounds what they are.
    limits: { memory: true, cpu: true, pids: false, disk: true, treeKill: "best-effort" },
  },
  kata: {
    isolation: "microvm",
    limits: { memory: false, cpu: false, pids: false, disk: false, treeKill: "best-effort" },
  },
};

/** Sandboxes under an OCI runtime (runc, crun, runsc), each a user namespace of its own over a shared image tree. */
export const ociProvider = (options: OciProviderOptions): Provider => {
  const { helper } = options;
  const runtimes = hostRuntimes({
    providerName: "oci",
    serverId: options.serverId,
    helper,
    connectGuest: options.connectGuest,
    readyTimeoutMs: options.readyTimeoutMs,
  });
  let known: HostProbe | undefined;
  const probe = async (signal: AbortSignal): Promise<HostProbe> => {
    known = await helper.call("probe", {}, signal);
    return known;
  };
  /** Until the runtime has said what it is, no more is claimed than the weakest of them holds. */
  const kind = (): RuntimeKind => known?.runtime_kind ?? "container";
  const networks = (): readonly NetworkMode[] => {
    const hasWayOut = known?.runtime_kind === "gvisor" || (known?.runtime_kind === "container" && known.no_tun === "");
    return hasWayOut ? ["none", "egress"] : ["none"];
  };

  return {
    name: "oci",
    get capabilities() {
      return {
        ...walls[kind()],
        tags: ["spawn", "exec", "files", kind()],
        needsImage: true,
        securityProfiles: ["default", "restricted"] as const,
        networks: networks(),
        egressLevel: kind() === "gvisor" ? ("proxy" as const) : ("transparent" as const),
      };
    },
    get publicConfig() {
      return { runtime: options.runtimePath, isolation: kind(), version: known?.versions.runtime ?? "" };
    },

    async fingerprint(signal) {
      const { missing: all, versions } = await probe(signal);
      const missing = all.oci ?? [];
      return { healthy: missing.length === 0, missing, versions };
    },

    async spawn(spec, signal) {
      if (!spec.image) throw new StacyError("invalid_input", "the oci provider needs an image");
      const host = known ?? (await probe(signal));
      const config = runtimeSpec({
        sandbox: spec,
        architecture: process.arch === "arm64" ? "arm64" : "x64",
        kind: host.runtime_kind,
        openFilesMax: host.open_files_max,
        hasCgroupDirectory: host.cgroup_mode === "unified" || host.cgroup_mode === "hybrid",
      });
      return await runtimes.spawn(
        "spawn",
        {
          sandbox_id: spec.id,
          server_id: options.serverId,
          generation: spec.generation,
          rootfs_path: spec.image.rootfsPath,
          disk_mb: spec.diskMb,
          agent_uid: agentUid(spec.security),
          egress: spec.network === "egress",
          config,
        },
        signal,
      );
    },

    attach: runtimes.attach,
    list: runtimes.list,
    reap: runtimes.reap,
    async [Symbol.asyncDispose]() {},
  };
};
