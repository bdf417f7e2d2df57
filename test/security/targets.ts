import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectGuest } from "../../packages/server/src/guest/agent/connect-guest.ts";
import type { ImageRoot } from "../../packages/server/src/images/image-store.ts";
import { busyboxImage } from "../../packages/server/src/providers/host.testing.ts";
import { type HostHelper, hostHelper } from "../../packages/server/src/providers/host-helper.ts";
import { mockProvider } from "../../packages/server/src/providers/mock/mock.ts";
import { ociProvider } from "../../packages/server/src/providers/oci/oci.ts";
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

const processesWithCgroup = async (name: string): Promise<readonly number[]> => {
  const found: number[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const [groups, status] = await Promise.all(
      ["cgroup", "status"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")),
    );
    // Whoever reaps the dead, they do nothing any more.
    if (groups?.includes(name) && !/^State:\s+[ZX]/m.test(status ?? "")) found.push(Number(pid));
  }
  return found;
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

const underHost =
  (make: (helper: HostHelper, runtimePath: string) => Provider, runtimePath: string, hasImage: boolean) =>
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
    const helper = changed(hostHelper({ programPath, dataRoot, agentPath, runtimePath: runtime }), broken);
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
      pidOf: ({ ref }) => (typeof ref.data.pid === "number" ? ref.data.pid : undefined),
      processesOf: ({ sandboxId }) => processesWithCgroup(`stacyvm-${sandboxId}`),
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  };

const serverId = "attacked";
const oci = (runtimePath: string) =>
  underHost((helper, path) => ociProvider({ serverId, helper, connectGuest, runtimePath: path }), runtimePath, true);
const mock = underHost((helper) => mockProvider({ serverId, helper, connectGuest }), "/usr/sbin/runc", false);

/** One entry a column: add a provider here, and its exceptions to expectations.ts. */
export const targets: readonly Target[] = [
  { id: "oci-runc", title: "oci, runc", profile: "default", open: oci("/usr/sbin/runc") },
  { id: "oci-restricted", title: "oci, runc, restricted", profile: "restricted", open: oci("/usr/sbin/runc") },
  { id: "oci-crun", title: "oci, crun", profile: "default", open: oci("/usr/bin/crun") },
  { id: "oci-runsc", title: "oci, runsc", profile: "default", open: oci("/usr/bin/runsc") },
  { id: "mock", title: "mock", profile: "default", open: mock },
];
