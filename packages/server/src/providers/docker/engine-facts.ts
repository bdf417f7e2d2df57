import type Docker from "dockerode";
import type { Capabilities, Fingerprint } from "../provider.ts";
import { commonApi, oldestApi } from "./engine.ts";
import type { EgressWay } from "./labels.ts";

export type EngineRuntimeKind = "container" | "gvisor" | "kata";

/** What an engine says of itself that matters here. */
export interface EngineFacts {
  readonly kind: EngineRuntimeKind;
  /** The container's root is another user on the host. */
  readonly remapsUsers: boolean;
  /** Can bound a container's writable layer, as far as is known without trying. */
  readonly boundsDisk: boolean;
  readonly limits: { readonly memory: boolean; readonly cpu: boolean; readonly pids: boolean };
  /** No file or socket of this host's is seen by the engine's containers. */
  readonly isDesktop: boolean;
  /** As `uname -m` has it; empty where it isn't told. */
  readonly machine: string;
  /** Of the API, for every call. */
  readonly api: string;
  readonly storageDriver: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Why no sandbox can be made, and what would help. */
  readonly missing: readonly string[];
}

/** Parts of `GET /version` and `GET /info` that types of clients leave out. */
interface Version {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion?: string;
  readonly Components?: readonly {
    readonly Name: string;
    readonly Version: string;
    readonly Details?: { readonly GitCommit?: string };
  }[];
}
interface Info {
  readonly OSType?: string;
  readonly OperatingSystem?: string;
  readonly Architecture?: string;
  readonly Driver?: string;
  readonly SecurityOptions?: readonly string[] | null;
  readonly Runtimes?: Readonly<Record<string, { readonly path?: string; readonly runtimeType?: string }>> | null;
  readonly MemoryLimit?: boolean;
  readonly CpuCfsQuota?: boolean;
  readonly PidsLimit?: boolean;
}

/** Drivers that give each container a file system of its own, with a bound where one is named. */
const boundingDrivers = ["btrfs", "zfs", "devicemapper"];

const kindOf = (
  name: string,
  how: { readonly path?: string; readonly runtimeType?: string } = {},
): EngineRuntimeKind => {
  const words = `${name} ${how.path ?? ""} ${how.runtimeType ?? ""}`;
  if (/runsc|gvisor/i.test(words)) return "gvisor";
  return /kata/i.test(words) ? "kata" : "container";
};

export const readFacts = (version: Version, info: Info, runtime: string): EngineFacts => {
  const security = info.SecurityOptions ?? [];
  const has = (name: string): boolean => security.some((option) => option.split(",").includes(`name=${name}`));
  const runtimes = info.Runtimes ?? {};
  const kind = kindOf(runtime, runtimes[runtime]);
  const least = version.MinAPIVersion ?? version.ApiVersion;
  const api = commonApi({ least, most: version.ApiVersion });
  const missing: string[] = [];
  if (api === undefined) {
    missing.push(
      `engine ${version.Version} speaks API ${least} to ${version.ApiVersion}; needed is ${oldestApi} (Docker 20.10) or newer: upgrade the older of the two`,
    );
  }
  if (info.OSType !== undefined && info.OSType !== "linux")
    missing.push(`the engine runs ${info.OSType} containers, not Linux ones`);
  if (runtimes[runtime] === undefined) {
    missing.push(
      `the engine has no runtime ${runtime} but ${Object.keys(runtimes).join(", ")}: add it to "runtimes" in the engine's daemon.json, or set providers.docker.runtime`,
    );
  }
  if (!has("seccomp")) missing.push("the engine has no seccomp: install one built with it");
  if (kind === "kata") missing.push("a Kata sandbox is a virtual machine, out of reach of a socket on this host");
  return {
    kind,
    remapsUsers: has("userns"),
    boundsDisk: boundingDrivers.includes(info.Driver ?? ""),
    limits: { memory: info.MemoryLimit ?? false, cpu: info.CpuCfsQuota ?? false, pids: info.PidsLimit ?? false },
    isDesktop: info.OperatingSystem?.includes("Docker Desktop") ?? false,
    machine: info.Architecture ?? "",
    api: api ?? oldestApi,
    storageDriver: info.Driver ?? "",
    versions: {
      docker: version.Version,
      api: version.ApiVersion,
      ...Object.fromEntries(
        (version.Components ?? [])
          .filter(({ Name: name }) => name === "containerd" || name === "runc")
          .map(({ Name: name, Version: of, Details: { GitCommit: build = "" } = {} }) => {
            // A distribution's build names its whole package version there, which tells which fixes it has.
            return [name, build.startsWith(`${of}-`) ? build : of];
          }),
      ),
    },
    missing,
  };
};

/** As it is; the client's types leave the options out. */
type Ask = (options: { readonly abortSignal: AbortSignal }) => Promise<unknown>;

/** Asks the engine; the caller's signal bounds it. */
export const askFacts = async (client: Docker, runtime: string, signal: AbortSignal): Promise<EngineFacts> => {
  const [version, info] = await Promise.all([
    (client.version as Ask)({ abortSignal: signal }),
    (client.info as Ask)({ abortSignal: signal }),
  ]);
  return readFacts(version as Version, info as Info, runtime);
};

export const fingerprintOf = ({ missing, versions }: EngineFacts): Fingerprint => ({
  healthy: missing.length === 0,
  missing,
  versions,
});

const remedy =
  'Give the engine a user namespace ("userns-remap": "default" in /etc/docker/daemon.json, then systemctl restart docker), or take the profile restricted.';

/** An engine's own network, where one is configured, stands in only where the gateway can't serve. */
const networksOf = (options: {
  readonly networkMode: string;
  readonly noEgress: string | undefined;
}): Capabilities["networks"] => {
  if (options.noEgress === undefined) return ["none", "egress"];
  return options.networkMode === "none" ? ["none"] : ["none", "bridge"];
};

/** Until the engine has answered, no more is claimed than the weakest of them holds. */
export const capabilitiesOf = (
  facts: EngineFacts | undefined,
  options: {
    readonly networkMode: string;
    readonly boundsDisk: boolean;
    /** Why there is no way to the egress gateway; undefined where there is one. */
    readonly noEgress: string | undefined;
    readonly egress: EgressWay;
  },
): Capabilities => {
  const kind = facts?.kind ?? "container";
  // gVisor's root could fill the directory of its door, which a host's root owns; see seal() in door.ts.
  const mapsRoot = facts?.remapsUsers === true && kind === "container";
  return {
    isolation: { container: "container", gvisor: "kernel", kata: "microvm" }[kind] as Capabilities["isolation"],
    tags: ["spawn", "exec", "files", kind],
    needsImage: false,
    securityProfiles: mapsRoot ? ["default", "restricted"] : ["restricted"],
    ...(mapsRoot ? {} : { profileRemedies: { default: remedy } }),
    networks: networksOf(options),
    egressLevel: options.egress === "relay" ? "proxy" : "transparent",
    ...(options.noEgress === undefined ? {} : { noEgress: options.noEgress }),
    limits: {
      memory: facts?.limits.memory ?? false,
      cpu: facts?.limits.cpu ?? false,
      // Under gVisor the host counts its own threads.
      pids: kind === "container" && (facts?.limits.pids ?? false),
      disk: options.boundsDisk,
      treeKill: "best-effort",
    },
  };
};
