import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectGuest } from "../../packages/server/src/guest/agent/connect-guest.ts";
import type { ImageRoot } from "../../packages/server/src/images/image-store.ts";
import { dockerProvider } from "../../packages/server/src/providers/docker/docker.ts";
import { engineLacks, startEngine } from "../../packages/server/src/providers/docker/docker-engine.testing.ts";
import { dockerSettings, noImages } from "../../packages/server/src/providers/docker/docker-provider.testing.ts";
import { busyboxImage } from "../../packages/server/src/providers/host.testing.ts";
import { type HostHelper, hostHelper } from "../../packages/server/src/providers/host-helper.ts";
import { mockProvider } from "../../packages/server/src/providers/mock/mock.ts";
import { ociProvider } from "../../packages/server/src/providers/oci/oci.ts";
import { prootProvider } from "../../packages/server/src/providers/proot/proot.ts";
import type { Provider, Runtime, SecurityProfile } from "../../packages/server/src/providers/provider.ts";
import type { BrokenControl } from "./controls.ts";
import { buildEdited } from "./native-build.ts";

/** A provider with what surrounds it, opened for one run. */
export interface OpenTarget extends AsyncDisposable {
  readonly provider: Provider;
  /** Empty where it can be tried here. */
  readonly missing: readonly string[];
  readonly dataRoot: string;
  /** The image of every sandbox, undefined where the provider has none. */
  readonly image: ImageRoot | undefined;
  /** Another image that is like it but for what is done to it; absent where the provider has none. */
  readonly makeImage: ((change: (rootfsPath: string) => Promise<void>) => Promise<ImageRoot>) | undefined;
  /** Programs of the host that a sandbox uses, by what they are. */
  readonly programs: Readonly<Record<string, string>>;
  /** The sandbox's first process as the host numbers it. */
  pidOf(runtime: Runtime): number | undefined;
  /** Every process of the sandbox, as the host numbers them. */
  processesOf(runtime: Runtime): Promise<readonly number[]>;
}

export interface Target {
  /** As `--target` takes it, and the column of the table. */
  readonly id: string;
  readonly title: string;
  readonly profile: SecurityProfile;
  open(broken: BrokenControl | undefined, canaryParent: string): Promise<OpenTarget>;
}

/** A program in the image that belongs to root and changes the user of whoever runs it. */
export const setuidProgram = "/bin/rootly";

const hostileImage = async (rootfsPath: string, probePath: string): Promise<ImageRoot> => {
  const image = await busyboxImage(rootfsPath);
  const setuid = join(rootfsPath, setuidProgram);
  await copyFile(probePath, setuid);
  await chmod(setuid, 0o4755);
  return image;
};

/** Whoever reaps the dead, they do nothing any more. */
const livingWhere = async (is: (pid: string) => Promise<boolean>): Promise<readonly number[]> => {
  const found: number[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    if (status !== "" && !/^State:\s+[ZX]/m.test(status) && (await is(pid))) found.push(Number(pid));
  }
  return found;
};

const processesWithCgroup = (name: string): Promise<readonly number[]> =>
  livingWhere(async (pid) => (await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "")).includes(name));

/** Of a sandbox whose first process has a namespace of its own, which all others are in. */
const processesBeside = async (first: number | undefined): Promise<readonly number[]> => {
  const namespaceOf = (pid: string) => readlink(`/proc/${pid}/ns/pid`).catch(() => "");
  const [own, theirs] = [await namespaceOf("self"), first === undefined ? "" : await namespaceOf(String(first))];
  if (theirs === "" || theirs === own) return [];
  return await livingWhere(async (pid) => (await namespaceOf(pid)) === theirs);
};

/** The helper, and in front of it what a broken control changes. */
const changed = (helper: HostHelper, broken: BrokenControl | undefined): HostHelper => ({
  async call(verb, args, signal) {
    const isSpawn = verb === "spawn";
    const asked = isSpawn && broken?.askedOfHost ? (broken.askedOfHost(args as never) as typeof args) : args;
    const answer = await helper.call(verb, asked, signal);
    const tellsSocket = isSpawn || verb === "inspect";
    return tellsSocket && broken?.toldByHost ? (broken.toldByHost(answer as never) as typeof answer) : answer;
  },
  [Symbol.asyncDispose]: () => helper[Symbol.asyncDispose](),
});

interface HostTargetOptions {
  readonly hasImage: boolean;
  /** Its processes are known by their namespace, as it makes no control groups. */
  readonly groupless?: boolean;
  readonly prootPath?: string;
}

const underHost =
  (
    make: (helper: HostHelper, runtimePath: string) => Provider,
    runtimePath: string,
    { hasImage, groupless = false, prootPath }: HostTargetOptions,
  ) =>
  async (broken: BrokenControl | undefined, canaryPath: string): Promise<OpenTarget> => {
    await using stack = new AsyncDisposableStack();
    const dataRoot = await mkdtemp(join(tmpdir(), "stacyvm-"));
    stack.defer(() => rm(dataRoot, { recursive: true, force: true }));
    await chmod(dataRoot, 0o711);
    const directory = join(dataRoot, "programs");
    await mkdir(directory, { mode: 0o755 });
    const programPath = buildEdited("stacyvm-host", directory, broken?.host);
    const agentPath = buildEdited("stacyvm-agent", directory, broken?.agent);
    const probePath = buildEdited("wall-probe", directory);
    let runtime = runtimePath;
    if (broken?.config !== undefined) {
      // Not where the agent is: sandboxes are shown that directory.
      runtime = buildEdited("broken-runtime", join(dataRoot, "runtime-programs"));
      await writeFile(`${runtime}.json`, JSON.stringify({ runtime: runtimePath, patch: broken.config(canaryPath) }));
    }
    const image = hasImage ? await hostileImage(join(dataRoot, "images/hostile"), probePath) : undefined;
    const helper = changed(
      hostHelper({ programPath, dataRoot, agentPath, runtimePath: runtime, ...(prootPath && { prootPath }) }),
      broken,
    );
    const provider = make(helper, runtime);
    stack.defer(() => helper[Symbol.asyncDispose]());
    stack.defer(async () => {
      for (const { sandboxId } of await provider.list(AbortSignal.timeout(30_000)))
        await provider.reap(sandboxId, AbortSignal.timeout(30_000));
    });
    const fingerprint = await provider.fingerprint(AbortSignal.timeout(30_000));
    let images = 0;
    const running = stack.move();
    return {
      provider,
      dataRoot,
      image,
      missing: !hasImage || existsSync(runtimePath) ? fingerprint.missing : [`no ${runtimePath}`],
      makeImage: !hasImage
        ? undefined
        : async (change) => {
            const made = await busyboxImage(join(dataRoot, `images/changed-${images++}`));
            await change(made.rootfsPath);
            return made;
          },
      programs: { agent: agentPath, runtime: runtimePath, host: programPath },
      pidOf,
      processesOf: (runtime) =>
        groupless ? processesBeside(pidOf(runtime)) : processesWithCgroup(`stacyvm-${runtime.sandboxId}`),
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  };

const pidOf = ({ ref }: Runtime): number | undefined => (typeof ref.data.pid === "number" ? ref.data.pid : undefined);

/** The process of a container that has number 1 inside. */
const firstOf = (containerId: string): number | undefined => {
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const isIts = readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(containerId);
      if (isIts && /^NSpid:.*\s1$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) return Number(pid);
    } catch {
      // It ended while we looked.
    }
  }
  return undefined;
};

/** An engine of the run's own. Controls are taken away under oci alone. */
const onEngine =
  (options: { readonly remap?: boolean; readonly runtime?: string }) => async (): Promise<OpenTarget> => {
    await using stack = new AsyncDisposableStack();
    const dataRoot = await mkdtemp(join(tmpdir(), "stacyvm-"));
    stack.defer(() => rm(dataRoot, { recursive: true, force: true }));
    await chmod(dataRoot, 0o711);
    const directory = join(dataRoot, "programs");
    await mkdir(directory, { mode: 0o755 });
    const agentPath = buildEdited("stacyvm-agent", directory);
    const probePath = buildEdited("wall-probe", directory);
    const lacks = engineLacks();
    const missing = lacks === undefined ? [] : [lacks];
    const engine = await startEngine({ remap: options.remap ?? false });
    stack.defer(() => engine.close());
    const tree = join(dataRoot, "images/hostile");
    await hostileImage(tree, probePath);
    await engine.importTree(tree, "busybox:latest");
    const helper = stack.use(hostHelper({ programPath: buildEdited("stacyvm-host", directory), agentPath, dataRoot }));
    const provider = dockerProvider({
      serverId,
      helper,
      egressDirectory: join(dataRoot, "egress"),
      connectGuest,
      images: noImages,
      agentPath,
      doorsDirectory: join(dataRoot, "doors"),
      settings: dockerSettings(engine.socket, options.runtime),
    });
    stack.use(provider);
    const fingerprint = await provider.fingerprint(AbortSignal.timeout(30_000));
    const running = stack.move();
    return {
      provider,
      dataRoot,
      image: undefined,
      missing: [...missing, ...fingerprint.missing],
      makeImage: undefined,
      programs: { agent: agentPath, runtime: "/usr/sbin/runc" },
      pidOf: ({ ref }) => firstOf(String(ref.data.containerId)),
      processesOf: ({ ref }) => processesWithCgroup(String(ref.data.containerId)),
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  };

const serverId = "attacked";
const oci = (runtimePath: string) =>
  underHost((helper, path) => ociProvider({ serverId, helper, connectGuest, runtimePath: path }), runtimePath, {
    hasImage: true,
  });
const mock = underHost((helper) => mockProvider({ serverId, helper, connectGuest }), "/usr/sbin/runc", {
  hasImage: false,
});
const proot = underHost(
  (helper) => prootProvider({ serverId, helper, connectGuest, networkMode: "none" }),
  "/usr/bin/proot",
  { hasImage: true, groupless: true, prootPath: "/usr/bin/proot" },
);

/** One entry a column: add a provider here, and its exceptions to expectations.ts. */
export const targets: readonly Target[] = [
  { id: "oci-runc", title: "oci, runc", profile: "default", open: oci("/usr/sbin/runc") },
  { id: "oci-restricted", title: "oci, runc, restricted", profile: "restricted", open: oci("/usr/sbin/runc") },
  { id: "oci-crun", title: "oci, crun", profile: "default", open: oci("/usr/bin/crun") },
  { id: "oci-runsc", title: "oci, runsc", profile: "default", open: oci("/usr/bin/runsc") },
  { id: "docker", title: "Docker", profile: "restricted", open: onEngine({}) },
  { id: "docker-remap", title: "Docker with userns-remap", profile: "default", open: onEngine({ remap: true }) },
  { id: "docker-runsc", title: "Docker with runsc", profile: "restricted", open: onEngine({ runtime: "runsc" }) },
  { id: "proot", title: "PRoot, by a root server", profile: "default", open: proot },
  { id: "mock", title: "mock", profile: "default", open: mock },
];
