import { StacyError } from "@stacyvm/contract";
import type { ConnectGuest } from "../../guest/guest.ts";
import type { HostHelper } from "../host-helper.ts";
import { hostRuntimes } from "../host-runtime.ts";
import type { Provider } from "../provider.ts";
import { agentUid, runtimeSpec } from "./runtime-spec.ts";

export interface OciProviderOptions {
  readonly serverId: string;
  readonly helper: HostHelper;
  readonly connectGuest: ConnectGuest;
  /** Shown to operators; the helper was started with it. */
  readonly runtimePath: string;
  readonly readyTimeoutMs?: number;
}

const defaultReadyTimeoutMs = 10_000;

/** Sandboxes under an OCI runtime (runc, crun …), each a user namespace of its own over a shared image tree. */
export const ociProvider = (options: OciProviderOptions): Provider => {
  const { helper } = options;
  const runtimes = hostRuntimes({
    providerName: "oci",
    serverId: options.serverId,
    helper,
    connectGuest: options.connectGuest,
    readyTimeoutMs: options.readyTimeoutMs ?? defaultReadyTimeoutMs,
  });
  let machine: Promise<{ openFilesMax: number; hasCgroupDirectory: boolean }> | undefined;
  const knowMachine = async (signal: AbortSignal) => {
    machine ??= helper.call("probe", {}, signal).then((probe) => ({
      openFilesMax: probe.open_files_max,
      hasCgroupDirectory: probe.cgroup_mode === "unified" || probe.cgroup_mode === "hybrid",
    }));
    return await machine.catch((error) => {
      machine = undefined;
      throw error;
    });
  };

  return {
    name: "oci",
    capabilities: {
      isolation: "container",
      tags: ["spawn", "exec", "files", "container"],
      needsImage: true,
      securityProfiles: ["default", "restricted"],
      networks: ["none"],
      limits: { memory: true, cpu: true, pids: true, disk: true, treeKill: "cgroup" },
    },
    publicConfig: { runtime: options.runtimePath },

    async fingerprint(signal) {
      const probe = await helper.call("probe", {}, signal);
      const missing = probe.missing.oci ?? [];
      return { healthy: missing.length === 0, missing, versions: probe.versions };
    },

    async spawn(spec, signal) {
      if (!spec.image) throw new StacyError("invalid_input", "the oci provider needs an image");
      const host = await knowMachine(signal);
      const config = runtimeSpec({
        sandbox: spec,
        architecture: process.arch === "arm64" ? "arm64" : "x64",
        ...host,
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
