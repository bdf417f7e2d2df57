import type Docker from "dockerode";
import {
  agentPath,
  agentUid,
  defaultCapabilities,
  doorPath,
  egressDoorPath,
  gvisorPids,
  maskedPaths,
  readonlyPaths,
  shmBytes,
} from "../hardening.ts";
import type { SandboxSpec } from "../provider.ts";
import type { EngineRuntimeKind } from "./engine-facts.ts";

export interface ContainerSettings {
  /** Name of the engine's runtime. */
  readonly runtime: string;
  readonly kind: EngineRuntimeKind;
  /** Of a sandbox that has a network. */
  readonly networkMode: string;
  /** Content, as JSON. */
  readonly seccomp: string;
  /** Of any sandbox, whatever is asked for; 0 is no bound of its own. */
  readonly pidsLimit: number;
  readonly readOnlyRootfs: boolean;
  /** Mount point to options. */
  readonly tmpfs: Readonly<Record<string, string>>;
  /** The writable layer gets the sandbox's bound. */
  readonly boundsDisk: boolean;
}

export interface ContainerParts {
  readonly spec: SandboxSpec;
  readonly settings: ContainerSettings;
  readonly labels: Record<string, string>;
  readonly image: { readonly id: string; readonly env: Readonly<Record<string, string>> };
  readonly door: AgentDoor;
  /** The agent is a proxy for its programs, and takes the egress gateway's connections among the server's. */
  readonly relaysEgress: boolean;
}

/** Where the agent's program comes from, and how it is reached. */
export type AgentDoor =
  /** Of the engine's host: the program, and the directory for its socket. */
  | {
      readonly transport: "socket";
      readonly agentFile: string;
      readonly directory: string;
      /** Of a sandbox with an outbound network: the directory of that socket, and its resolv.conf. */
      readonly egress: { readonly directory: string; readonly resolvConf: string } | undefined;
    }
  /** A volume that holds the program under its name. */
  | { readonly transport: "stream"; readonly volume: string };

/** Of the agent's program in a volume. */
export const agentProgramName = "stacyvm-agent";
/** Where a volume with the program is shown, and the program then. */
export const agentVolumePath = agentPath;
export const programInVolume = `${agentVolumePath}/${agentProgramName}`;

const workspace = "/workspace";
const mib = 1024 * 1024;

/** A field of the API that the client's types lack. */
interface HostConfig extends Docker.HostConfig {
  readonly CgroupnsMode: "private";
  readonly MaskedPaths: string[];
  readonly ReadonlyPaths: string[];
}

/** The request that makes a sandbox's container. Of the image only its files count, and its ENV by way of the agent. */
export const containerConfig = (parts: ContainerParts): Docker.ContainerCreateOptions => {
  const { spec, settings, image } = parts;
  const uid = agentUid(spec.security);
  const memoryBytes = spec.memoryMb * mib;
  const pids = settings.pidsLimit > 0 ? Math.min(spec.pidsMax, settings.pidsLimit) : spec.pidsMax;
  const host: HostConfig = {
    Runtime: settings.runtime,
    NetworkMode: spec.network === "bridge" ? settings.networkMode : "none",
    SecurityOpt: ["no-new-privileges", `seccomp=${settings.seccomp}`],
    CapDrop: ["ALL"],
    CapAdd: spec.security === "restricted" ? [] : [...defaultCapabilities],
    Privileged: false,
    PidsLimit: settings.kind === "gvisor" ? gvisorPids(pids) : pids,
    Memory: memoryBytes,
    MemorySwap: memoryBytes,
    NanoCpus: Math.round(spec.vcpus * 1e9),
    ShmSize: shmBytes,
    IpcMode: "private",
    CgroupnsMode: "private",
    MaskedPaths: [...maskedPaths],
    ReadonlyPaths: [...readonlyPaths],
    ReadonlyRootfs: settings.readOnlyRootfs,
    Tmpfs: { ...(settings.readOnlyRootfs ? writable(spec, uid) : {}), ...settings.tmpfs },
    Ulimits: [{ Name: "core", Soft: 0, Hard: 0 }],
    Mounts: mounts(parts.door),
    LogConfig: { Type: "none", Config: {} },
    RestartPolicy: { Name: "no" },
    AutoRemove: false,
    Init: false,
    ...(settings.boundsDisk ? { StorageOpt: { size: `${spec.diskMb}m` } } : {}),
  };
  return {
    Image: image.id,
    Hostname: spec.id,
    User: `${uid}:${uid}`,
    WorkingDir: "/",
    Entrypoint: [
      ...(parts.door.transport === "socket"
        ? [
            ...[agentPath, "serve", "--listen-unix", `${doorPath}/agent.sock`],
            ...(parts.door.egress === undefined ? [] : ["--egress-unix", `${egressDoorPath}/egress.sock`]),
          ]
        : [programInVolume, "serve", "--stdio"]),
      ...(parts.relaysEgress ? ["--egress-proxy"] : []),
      ...["--workdir", workspace],
    ],
    Cmd: [],
    // A name without a value takes the image's away: nothing of an image configures the agent.
    Env: Object.keys(image.env).filter((name) => name !== "PATH"),
    Healthcheck: { Test: ["NONE"] },
    Tty: false,
    // Stays open whoever leaves.
    OpenStdin: parts.door.transport === "stream",
    StdinOnce: false,
    AttachStdin: false,
    Labels: parts.labels,
    HostConfig: host,
  };
};

const mounts = (door: AgentDoor): Docker.MountConfig => {
  if (door.transport === "stream") {
    const volume = { Type: "volume", Source: door.volume, Target: agentVolumePath, ReadOnly: true } as const;
    return [{ ...volume, VolumeOptions: { NoCopy: true } as Docker.MountSettings["VolumeOptions"] & object }];
  }
  const bind = (source: string, target: string, readOnly: boolean) =>
    ({
      Type: "bind",
      Source: source,
      Target: target,
      ReadOnly: readOnly,
      BindOptions: { Propagation: "private" },
    }) as const;
  const own = [bind(door.agentFile, agentPath, true), bind(door.directory, doorPath, false)];
  if (door.egress === undefined) return own;
  const { directory, resolvConf } = door.egress;
  return [...own, bind(directory, egressDoorPath, false), bind(resolvConf, "/etc/resolv.conf", true)];
};

/** What has to be writable where the image's files aren't. */
const writable = (spec: SandboxSpec, uid: number): Record<string, string> => ({
  "/tmp": `rw,nosuid,nodev,mode=1777,size=${spec.diskMb}m`,
  [workspace]: `rw,nosuid,nodev,mode=0755,uid=${uid},gid=${uid},size=${spec.diskMb}m`,
});

/** A tar archive with nothing but the working directory, owned by the user that will work there. */
export const workspaceArchive = (uid: number): Buffer => {
  const header = tarHeader({ name: `${workspace.slice(1)}/`, mode: 0o755, uid, sizeBytes: 0, type: "directory" });
  return Buffer.concat([header, Buffer.alloc(1024)]);
};

export interface TarEntry {
  readonly name: string;
  readonly mode: number;
  /** Its group has the same number. */
  readonly uid: number;
  readonly sizeBytes: number;
  readonly type: "file" | "directory";
}

export const tarHeader = ({ name, mode, uid, sizeBytes, type }: TarEntry): Buffer => {
  const header = Buffer.alloc(512);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;
  header.write(name, 0);
  header.write(octal(mode, 8), 100);
  header.write(octal(uid, 8), 108);
  header.write(octal(uid, 8), 116);
  header.write(octal(sizeBytes, 12), 124);
  header.write(octal(0, 12), 136);
  header.write(" ".repeat(8), 148);
  header.write(type === "file" ? "0" : "5", 156);
  header.write("ustar\x0000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
};
