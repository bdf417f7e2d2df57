import {
  choice,
  decimal,
  duration,
  flag,
  integer,
  list,
  map,
  optionalFlag,
  path,
  secret,
  size,
  text,
} from "./kinds.ts";

const mib = 1024 * 1024;

/** Fewest processes and threads that a sandbox and its agent can do with. */
export const pidsLeast = 64;

export const providers = {
  default: text("auto", "Provider of a sandbox that names none; `auto` takes the strongest one that is healthy here."),
  oci: {
    enabled: flag(true, "Sandboxes by an OCI runtime, without a daemon."),
    runtime: text("runc", "The OCI runtime: a name in the PATH or an absolute path."),
    runtimeArgs: list([], "Arguments put before the runtime's command."),
    pidsLimit: integer(512, "Most processes and threads of a sandbox, its agent's three dozen included.", {
      least: pidsLeast,
    }),
    stateDir: path("", "Directory of running sandboxes' bundles and layers.", "<data_dir>/oci"),
  },
  mock: {
    enabled: flag(false, "Sandboxes as host processes, for tests. No isolation is promised."),
  },
  docker: {
    enabled: optionalFlag(
      "on where the server isn't root and DOCKER_HOST is set or its user may use the socket",
      "Sandboxes by a Docker engine.",
    ),
    socket: text(
      "",
      "The engine's address: `unix:///path`, or `tcp://host:2376`.",
      "DOCKER_HOST, or unix:///var/run/docker.sock",
    ),
    tlsDir: path("", "Directory of ca.pem, cert.pem and key.pem for an engine over TCP.", "DOCKER_CERT_PATH"),
    agentTransport: choice(
      "auto",
      ["auto", "socket", "stream"],
      "How agents are reached: `socket` on this host, `stream` wherever the engine is; `auto` looks at the engine.",
    ),
    runtime: text("runc", "Runtime that the engine is asked for, by its name there; `runsc` is gVisor."),
    defaultImage: text("alpine:latest", "Reserved: `defaults.image` counts."),
    networkMode: text(
      "none",
      "The engine's own network for sandboxes that ask for one where the egress gateway can't serve; `none` offers none.",
    ),
    seccompProfile: text("default", "`default`, or a file with a profile in Docker's format, whose content is sent."),
    readOnlyRootfs: flag(false, "The image's files can't be written; /workspace and /tmp are memory."),
    memoryBytes: size(512 * mib, "Reserved: `defaults.memory_mb` counts."),
    cpus: decimal(1, "Reserved: `defaults.vcpus` counts."),
    pidsLimit: integer(256, "Most processes and threads of a sandbox; 0 leaves it to `providers.oci.pids_limit`."),
    user: text("", "Reserved: the security profile says who runs."),
    droppedCaps: list(["ALL"], "Reserved: the security profile says which capabilities there are."),
    addedCaps: list([], "Reserved."),
    tmpfs: map("Memory file systems: mount point to options."),
    poolSecurity: {
      perUserUid: flag(false, "Reserved."),
      pidNamespace: flag(false, "Reserved."),
      workspacePermissions: flag(true, "Reserved."),
      hidepid: flag(false, "Reserved."),
    },
  },
  firecracker: {
    enabled: flag(false, "Sandboxes as Firecracker microVMs."),
    firecrackerPath: path("/usr/local/bin/firecracker", "The monitor's program."),
    kernelPath: path("/var/lib/stacyvm/vmlinux.bin", "The guest's kernel."),
    defaultRootfs: path("", "Root file system of a sandbox that names no image."),
    agentPath: path("./bin/stacyvm-agent", "The agent put into root file systems."),
    dataDir: path("/var/lib/stacyvm", "Directory of images, snapshots and machines."),
  },
  proot: {
    enabled: optionalFlag("true where the server isn't root", "Sandboxes by PRoot, for hosts without privileges."),
    prootBinary: text("proot", "The program: a name in the PATH or an absolute path."),
    networkMode: choice(
      "none",
      ["none", "host"],
      "`host` also offers sandboxes this host's own network, and gives it to all of them where namespaces can't be had.",
    ),
    rootfsPath: path("/var/lib/stacyvm/rootfs", "Reserved: sandboxes stand on copies of images."),
    workspaceBase: path("/var/lib/stacyvm/workspaces", "Reserved: they lie below providers.oci.state_dir."),
    defaultTimeoutMs: duration(60_000, "Reserved: defaults.default_exec_timeout counts."),
    maxSandboxes: integer(10, "Reserved: defaults.max_sandboxes counts."),
    maxMemoryMb: integer(512, "Reserved."),
    maxDiskMb: integer(1_024, "Reserved."),
    languages: list(["python3", "node", "bash"], "Reserved."),
  },
  e2b: {
    enabled: flag(false, "Sandboxes of an E2B service."),
    apiKey: secret("Its API key."),
    baseUrl: text("https://api.e2b.dev", "Its address."),
  },
  custom: {
    enabled: flag(false, "Sandboxes of another service over HTTP."),
    name: text("custom", "The provider's name."),
    baseUrl: text("", "Its address."),
    apiKey: secret("Its API key."),
    timeoutMs: duration(60_000, "Deadline of one of its answers."),
  },
} as const;

export const pool = {
  enabled: flag(false, "Several owners' workspaces share machines."),
  maxVms: integer(10, "Most shared machines."),
  maxUsersPerVm: integer(5, "Most owners of one machine."),
  image: text("alpine:latest", "Image of a shared machine."),
  memoryMb: integer(2_048, "Memory of a shared machine in MiB."),
  vcpus: integer(2, "Processors of a shared machine."),
  overflow: choice("reject", ["reject", "queue"], "What happens to a spawn when all are full."),
} as const;
