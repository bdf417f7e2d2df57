import type { ConnectGuest } from "../../guest/guest.ts";
import type { HostHelper } from "../host-helper.ts";
import { hostRuntimes } from "../host-runtime.ts";
import type { Provider } from "../provider.ts";

export interface MockProviderOptions {
  readonly serverId: string;
  readonly helper: HostHelper;
  readonly connectGuest: ConnectGuest;
  readonly readyTimeoutMs?: number;
}

/**
 * The agent as a process of this host, over the host's own programs. For trying things out: it lives in namespaces,
 * but without limits or a syscall filter, and no wall is promised.
 */
export const mockProvider = (options: MockProviderOptions): Provider => {
  const { helper } = options;
  const runtimes = hostRuntimes({
    providerName: "mock",
    serverId: options.serverId,
    helper,
    connectGuest: options.connectGuest,
    readyTimeoutMs: options.readyTimeoutMs,
  });
  return {
    name: "mock",
    capabilities: {
      isolation: "none",
      tags: ["spawn", "exec", "files"],
      needsImage: false,
      securityProfiles: ["default"],
      networks: ["none"],
      limits: { memory: false, cpu: false, pids: false, disk: false, treeKill: "pid-namespace" },
    },
    publicConfig: { isolation: "none" },

    async fingerprint(signal) {
      const { missing: all, versions } = await helper.call("probe", {}, signal);
      const missing = all.mock ?? [];
      return { healthy: missing.length === 0, missing, versions };
    },

    spawn: (spec, signal) =>
      runtimes.spawn(
        "spawn-mock",
        {
          sandbox_id: spec.id,
          server_id: options.serverId,
          generation: spec.generation,
          disk_mb: spec.diskMb,
        },
        signal,
      ),
    attach: runtimes.attach,
    list: runtimes.list,
    reap: runtimes.reap,
    async [Symbol.asyncDispose]() {},
  };
};
