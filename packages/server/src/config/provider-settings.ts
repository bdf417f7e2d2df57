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

export const providers = {
  default: text("auto", "Provider of a sandbox that names none; `auto` takes the strongest one that is healthy here."),
  oci: {
    enabled: flag(true, "Sandboxes by an OCI runtime, without a daemon."),
    runtime: text("runc", "The OCI runtime: a name in the PATH or an absolute path."),
    runtimeArgs: list([], "Arguments put before the runtime's command."),
    pidsLimit: integer(512, "Most processes and threads of a sandbox.", { least: 8 }),
    stateDir: path("", "Directory of running sandboxes' bundles and layers.", "<data_dir>/oci"),
  },
  mock: {
    enabled: flag(false, "Sandboxes as host processes, for tests. No isolation is promised."),
  },
  docker: {
    enabled: flag(false, "Sandboxes by a Docker engine."),
    socket: text("", "The engine's address; empty asks the environment's usual one."),
    runtime: text("runc", "Runtime that the engine is asked for."),
    defaultImage: text("alpine:latest", "Image of a sandbox that names none."),
    networkMode: text("bridge", "The engine's network for sandboxes."),
    seccompProfile: text("default", "`default`, `unconfined`, or a file."),
    readOnlyRootfs: flag(false, "The image's file system can't be written."),
    memoryBytes: size(512 * mib, "Memory bound where the request names none."),
    cpus: decimal(1, "CPU bound where the request names none."),
    pidsLimit: integer(256, "Most processes and threads of a sandbox."),
    user: text("", "User inside the sandbox; empty takes the image's."),
    droppedCaps: list(["ALL"], "Capabilities taken away."),
    addedCaps: list([], "Capabilities given back."),
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
