import { StacyError } from "@stacyvm/contract";
import type { ConnectGuest } from "../../guest/guest.ts";
import { agentUid } from "../hardening.ts";
import type { HostHelper, HostProbe } from "../host-helper.ts";
import { hostRuntimes } from "../host-runtime.ts";
import type { NetworkMode, Provider } from "../provider.ts";

export interface ProotProviderOptions {
  readonly serverId: string;
  readonly helper: HostHelper;
  readonly connectGuest: ConnectGuest;
  /** `host` lets sandboxes use this host's network, as the operator decided. */
  readonly networkMode: "none" | "host";
  readonly readyTimeoutMs?: number;
}

const openFilesMax = 65_536;
/** PRoot 5.1 now and then ends, without a word, just after its start: about once in 600 on a busy host. */
const triesMax = 3;

/**
 * The agent below PRoot, over a copy of the image's tree: for hosts on which nothing may be mounted. The kernel it runs on is
 * this host's, and the paths it sees are translated by a tracer of its own user; what else holds depends on namespaces and
 * Landlock, and is told by the capabilities.
 */
export const prootProvider = (options: ProotProviderOptions): Provider => {
  const { helper } = options;
  const runtimes = hostRuntimes({
    providerName: "proot",
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
  const hasNamespaces = (): boolean => known?.no_namespaces === "";
  /** Until the host was looked at, none but the one that gives least. */
  const networks = (): readonly NetworkMode[] => [
    ...(known === undefined || hasNamespaces() ? (["none"] as const) : []),
    ...(hasNamespaces() ? (["egress"] as const) : []),
    ...(options.networkMode === "host" ? (["host"] as const) : []),
  ];

  return {
    name: "proot",
    get capabilities() {
      return {
        isolation: "userspace" as const,
        tags: ["spawn", "exec", "files", "proot"],
        needsImage: true,
        securityProfiles: ["default", "restricted"] as const,
        networks: networks(),
        egressLevel: "proxy" as const,
        limits: { memory: false, cpu: false, pids: hasNamespaces(), disk: false, treeKill: "best-effort" as const },
      };
    },
    get publicConfig() {
      return {
        isolation: "userspace",
        version: known?.versions.proot ?? "",
        namespaces: String(hasNamespaces()),
        landlock: String(known?.landlock ?? 0),
      };
    },

    async fingerprint(signal) {
      const host = await probe(signal);
      const missing = [...(host.missing.proot ?? [])];
      if (networks().length === 0) {
        missing.push(
          `sandboxes can't have a network of their own (${host.no_namespaces}); allow user namespaces ` +
            "(sysctl user.max_user_namespaces=65536 kernel.apparmor_restrict_unprivileged_userns=0), " +
            "or accept that they use this host's network: providers.proot.network_mode: host",
        );
      }
      return { healthy: missing.length === 0, missing, versions: host.versions };
    },

    async spawn(spec, signal) {
      if (!spec.image) throw new StacyError("invalid_input", "the proot provider needs an image");
      if (known === undefined) await probe(signal);
      if (!networks().includes(spec.network)) {
        throw new StacyError("not_supported", `provider proot does not offer network ${spec.network} here`, {
          remediation: "GET /api/v1/providers/proot says which it offers, and its health what is missing for others.",
        });
      }
      const args = {
        sandbox_id: spec.id,
        server_id: options.serverId,
        generation: spec.generation,
        rootfs_path: spec.image.rootfsPath,
        agent_uid: agentUid(spec.security),
        file_mb: spec.diskMb,
        pids_max: spec.pidsMax,
        open_files: openFilesMax,
        host_network: spec.network === "host",
        egress: spec.network === "egress",
      };
      for (let tried = 1; ; tried++) {
        try {
          return await runtimes.spawn("spawn-proot", args, signal);
        } catch (error) {
          const isEnd = error instanceof StacyError && error.reason === "spawn_failed";
          if (!isEnd || tried === triesMax || signal.aborted) throw error;
        }
      }
    },

    attach: runtimes.attach,
    list: runtimes.list,
    reap: runtimes.reap,
    async [Symbol.asyncDispose]() {},
  };
};
