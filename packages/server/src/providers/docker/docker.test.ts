import { lstat, mkdir, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { sandboxId, sh, signal, until } from "../contract/suite.testing.ts";
import type { Provider, Runtime, SandboxSpec } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { engineLacks, type TestEngine } from "./docker-engine.testing.ts";
import { type DockerUnderTest, dockerSettings, dockerUnderTest } from "./docker-provider.testing.ts";

const lacks = engineLacks();

/** What the shared suite can't ask of any provider. */
describe("docker's own", () => {
  let under: DockerUnderTest;
  let engine: TestEngine;
  let provider: Provider;

  const test = (name: string, body: () => Promise<void>): void =>
    it(name, async (context) => {
      if (lacks !== undefined) context.skip(lacks);
      await body();
    });
  const spec = (more: Partial<SandboxSpec> = {}): SandboxSpec =>
    sandboxSpec({ id: sandboxId(), security: "restricted", ...more });
  const inspect = async ({ ref }: Runtime) => await engine.client.getContainer(String(ref.data.containerId)).inspect();
  const doorOf = (id: string): string => join(under.dataRoot, "doors", id);
  const containers = async () => (await engine.client.listContainers({ all: true })).map(({ Id }) => Id);

  beforeAll(async () => {
    if (lacks !== undefined) return;
    under = await dockerUnderTest({ remap: true });
    engine = under.engine;
    provider = under.open();
    await engine.importTree(join(under.dataRoot, "images/busybox"), "opinionated:1", [
      'ENTRYPOINT ["/bin/false"]',
      'CMD ["nothing"]',
      "USER nobody",
      "WORKDIR /nowhere",
      "VOLUME /volume",
      "ENV GREETING=hello GODEBUG=madvdontneed=1",
    ]);
  });

  afterAll(async () => {
    await provider?.[Symbol.asyncDispose]();
    await under?.close();
  });

  afterEach(async () => {
    for (const one of (await provider?.list(signal())) ?? []) await provider.reap(one.sandboxId, signal());
  });

  test("knows nothing of its engine before it is asked, and offers both profiles where users are mapped", async () => {
    const fresh = under.open();
    expect([fresh.capabilitiesKnown, fresh.capabilities.securityProfiles]).toEqual([false, ["restricted"]]);
    const { healthy, missing, versions } = await fresh.fingerprint(signal());
    expect({ healthy, missing }).toEqual({ healthy: true, missing: [] });
    expect(versions).toMatchObject({ docker: expect.stringMatching(/^\d/), api: expect.stringMatching(/^1\./) });
    expect(fresh.capabilitiesKnown).toBe(true);
    expect(fresh.capabilities.securityProfiles).toEqual(["default", "restricted"]);
    expect(fresh.publicConfig).toMatchObject({ userns_remap: "true", runtime: "runc" });
  });

  test("asks the engine by itself when it is told to spawn first", async () => {
    const runtime = await under.open().spawn(spec({ security: "default" }), signal());
    expect((await sh(runtime.guest, "id -u")).out).toBe("0\n");
    await runtime.destroy(signal());
  });

  test("makes a container with no privilege, log, restart or mount but the agent and its door", async () => {
    const runtime = await provider.spawn(spec({ memoryMb: 64, vcpus: 0.5, pidsMax: 77 }), signal());
    const { HostConfig: host, Config: config, Name: name } = await inspect(runtime);
    expect(name).toBe(`/stacyvm-test-${runtime.sandboxId}`);
    expect(host).toMatchObject({
      Privileged: false,
      NetworkMode: "none",
      CapDrop: ["ALL"],
      CapAdd: [],
      PidsLimit: 77,
      Memory: 64 << 20,
      MemorySwap: 64 << 20,
      NanoCpus: 5e8,
      IpcMode: "private",
      PidMode: "",
      UsernsMode: "",
      CgroupnsMode: "private",
      AutoRemove: false,
      Init: false,
      LogConfig: { Type: "none" },
      RestartPolicy: { Name: "no" },
      Binds: null,
      Devices: null,
    });
    expect(host.SecurityOpt?.map((option: string) => option.slice(0, 40))).toEqual([
      "no-new-privileges",
      'seccomp={"defaultAction":"SCMP_ACT_ERRNO',
    ]);
    const mounts = host.Mounts?.map((mount) => [mount.Type, mount.Target, mount.ReadOnly ?? false]);
    expect(mounts).toEqual([
      ["bind", "/dev/.stacyvm-agent", true],
      ["bind", "/dev/.stacyvm-door", false],
    ]);
    expect(config).toMatchObject({ User: "1000:1000", Tty: false, OpenStdin: false });
    await runtime.destroy(signal());
  });

  test("takes an image's files and environment, and nothing else that it asks for", async () => {
    const runtime = await provider.spawn(spec({ security: "default", imageReference: "opinionated:1" }), signal());
    expect((await sh(runtime.guest, "id -u; pwd; ls -d /nowhere; echo $GREETING")).out).toBe("0\n/workspace\n\n");
    expect(runtime.image).toMatchObject({ env: { GREETING: "hello", GODEBUG: "madvdontneed=1" } });
    expect(runtime.image?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    const { Config: config } = await inspect(runtime);
    // Names without a value: what the image sets is taken away again.
    expect(config.Env).toEqual(["GREETING", "GODEBUG"]);
    expect(config.Entrypoint?.[0]).toBe("/dev/.stacyvm-agent");
    expect(config.Cmd ?? []).toEqual([]);
    await runtime.destroy(signal());
  });

  test("leaves no volume of an image's when the sandbox is destroyed", async () => {
    const volumes = async () => (await engine.client.listVolumes()).Volumes?.length ?? 0;
    const before = await volumes();
    const runtime = await provider.spawn(spec({ imageReference: "opinionated:1" }), signal());
    expect(await volumes()).toBe(before + 1);
    await runtime.destroy(signal());
    expect(await volumes()).toBe(before);
  });

  test("writes on the container whose it is", async () => {
    const expiresAtMs = Date.now() + 60_000;
    const mine = spec({ ownerId: "me", tenantId: "us", expiresAtMs, generation: 7 });
    const runtime = await provider.spawn(mine, signal());
    const { Config: config } = await inspect(runtime);
    expect(config.Labels).toMatchObject({
      "stacyvm.server": "test",
      "stacyvm.provider": "docker",
      "stacyvm.sandbox": mine.id,
      "stacyvm.owner": "me",
      "stacyvm.tenant": "us",
      "stacyvm.expires": String(expiresAtMs),
      "stacyvm.generation": "7",
      "stacyvm.image": "busybox",
    });
    await runtime.destroy(signal());
  });

  test("neither sees nor touches what another server, or nobody of ours, has on the engine", async () => {
    const other = under.open({ serverId: "other", doorsDirectory: join(under.dataRoot, "doors-of-another") });
    const theirs = await other.spawn(spec(), signal());
    const id = sandboxId();
    const foreign = await engine.client.createContainer({
      name: `stacyvm-test-${id}`,
      Image: "busybox:latest",
      Cmd: ["true"],
    });
    expect(await provider.list(signal())).toEqual([]);
    expect(await provider.attach(theirs.sandboxId, theirs.ref, signal())).toBeUndefined();
    await provider.reap(theirs.sandboxId, signal());
    await expect(provider.reap(id, signal())).rejects.toMatchObject({ reason: "state_conflict" });
    expect((await sh(theirs.guest, "echo alive")).out).toBe("alive\n");
    expect(await containers()).toContain(foreign.id);
    await foreign.remove();
    await theirs.destroy(signal());
  });

  test("seals the door before the first program runs: nothing inside can add to it or change it", async () => {
    const runtime = await provider.spawn(spec({ security: "default" }), signal());
    const attempts = `cd /dev/.stacyvm-door; touch new; ln -s /tmp link; mv agent.sock other; rm -f agent.sock;
      chmod 777 .; chown 0 .; mount -o remount,rw . 2>&1; ls -A`;
    const { out, err } = await sh(runtime.guest, attempts);
    expect(out.trim().split("\n").at(-1)).toBe("agent.sock");
    expect(err.match(/Permission denied|not permitted/g)?.length).toBeGreaterThanOrEqual(5);
    expect(await readdir(doorOf(runtime.sandboxId))).toEqual(["agent.sock"]);
    const [above, own] = await Promise.all([stat(join(under.dataRoot, "doors")), stat(doorOf(runtime.sandboxId))]);
    expect([above.mode & 0o777, own.mode & 0o777, own.uid]).toEqual([0o700, 0o755, 0]);
    await runtime.destroy(signal());
  });

  test("reaches no agent through a link in its socket's place, nor when anything else is there", async () => {
    const victim = await provider.spawn(spec(), signal());
    let connections = 0;
    const elsewhere = join(under.dataRoot, "elsewhere");
    const listening = createServer((socket) => {
      connections++;
      socket.destroy();
    }).listen(elsewhere);
    await new Promise((resolve) => listening.once("listening", resolve));
    const socket = join(doorOf(victim.sandboxId), "agent.sock");
    expect((await lstat(socket)).isSocket()).toBe(true);
    await rename(socket, join(doorOf(victim.sandboxId), "kept"));
    const others: Readonly<Record<string, () => Promise<unknown>>> = {
      "a link": () => symlink(elsewhere, socket),
      "a file": () => writeFile(socket, ""),
      "a directory": () => mkdir(socket),
      nothing: async () => {},
    };
    for (const [what, put] of Object.entries(others)) {
      await put();
      const attached = await under.open().attach(victim.sandboxId, victim.ref, signal());
      await expect(attached?.guest.ready(signal()), what).rejects.toMatchObject({ reason: "guest_unreachable" });
      await attached?.guest[Symbol.asyncDispose]();
      await rm(socket, { recursive: true, force: true });
    }
    expect(connections).toBe(0);
    await victim.destroy(signal());
    await new Promise((resolve) => listening.close(resolve));
  });

  test("ends a sandbox that ignores every signal at once", async () => {
    const runtime = await provider.spawn(spec(), signal());
    await sh(runtime.guest, "for i in 1 2 3; do sh -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done' & done");
    const startedAt = performance.now();
    await runtime.destroy(signal());
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(await containers()).toEqual([]);
  });

  test("sends the content of a configured filter", async () => {
    const file = join(under.dataRoot, "filter.json");
    const refuse = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }];
    await writeFile(file, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: refuse }));
    const strict = under.open({ settings: { ...dockerSettings(engine.socket), seccompProfile: file } });
    const runtime = await strict.spawn(spec(), signal());
    await rm(file);
    expect((await sh(runtime.guest, "mkdir /tmp/new")).err).toContain("not permitted");
    await runtime.destroy(signal());
    const gone = under.open({ settings: { ...dockerSettings(engine.socket), seccompProfile: file } });
    expect(await gone.fingerprint(signal())).toMatchObject({
      healthy: false,
      missing: [expect.stringContaining(file)],
    });
  });

  test("keeps an image's files from being written where that is configured", async () => {
    const settings = {
      ...dockerSettings(engine.socket),
      readOnlyRootfs: true,
      tmpfs: { "/scratch": "size=1m,mode=1777" },
    };
    const runtime = await under.open({ settings }).spawn(spec(), signal());
    const { out } = await sh(
      runtime.guest,
      "for d in /etc /bin /workspace /tmp /scratch; do touch $d/x && echo $d; done",
    );
    expect(out).toBe("/workspace\n/tmp\n/scratch\n");
    await runtime.destroy(signal());
  });

  test("leaves nothing of a spawn that the engine or the agent refuses, and says why", async () => {
    const noAgent = under.open({ agentPath: join(under.dataRoot, "no-agent") });
    const notThere = { reason: "spawn_failed", message: expect.stringContaining("bind source path does not exist") };
    await expect(noAgent.spawn(spec(), signal())).rejects.toMatchObject(notThere);
    const broken = under.open({ agentPath: "/bin/busybox" });
    const why = { reason: "spawn_failed", message: expect.stringContaining("applet not found") };
    await expect(broken.spawn(spec(), signal())).rejects.toMatchObject(why);
    expect(await containers()).toEqual([]);
    expect(await readdir(join(under.dataRoot, "doors"))).toEqual([]);
  });

  test("lists a door without a container, as a crash in between leaves it, and reaps it", async () => {
    const id = sandboxId();
    await mkdir(doorOf(id));
    expect(await provider.list(signal())).toMatchObject([{ sandboxId: id, alive: false }]);
    await provider.reap(id, signal());
    expect(await provider.list(signal())).toEqual([]);
  });

  test("says that an engine which doesn't answer is missing, and what helps", async () => {
    const nowhere = under.open({ settings: dockerSettings(`unix://${under.dataRoot}/no.sock`) });
    expect(await nowhere.fingerprint(signal())).toEqual({
      healthy: false,
      missing: [expect.stringContaining("systemctl start docker")],
      versions: {},
    });
    await expect(nowhere.spawn(spec(), signal())).rejects.toMatchObject({ reason: "provider_unavailable" });
    await expect(nowhere.list(signal())).rejects.toMatchObject({ reason: "provider_unavailable" });
    const silent = createServer((socket) => socket.resume()).listen(join(under.dataRoot, "silent.sock"));
    const startedAt = performance.now();
    const told = await under
      .open({ settings: dockerSettings(`unix://${under.dataRoot}/silent.sock`) })
      .fingerprint(signal());
    expect(told.healthy).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(3000);
    await new Promise((resolve) => silent.close(resolve));
  });

  test("finds the runtimes gone that an engine's crash took, and reaps them", async () => {
    const runtime = await provider.spawn(spec({ security: "default" }), signal());
    await engine.restart();
    const own = async () => (await provider.list(signal())).find((one) => one.sandboxId === runtime.sandboxId);
    expect((await until(own, (one) => one?.alive === false))?.alive).toBe(false);
    expect(await provider.attach(runtime.sandboxId, runtime.ref, signal())).toBeUndefined();
    await runtime.destroy(signal());
    expect(await own()).toBeUndefined();
  });

  // Last: from here on the engine's images are others.
  test("makes no root inside that is root outside, though the engine mapped users when it was asked", async () => {
    const asked = under.open();
    await asked.fingerprint(signal());
    await engine.restart({ remap: false });
    await engine.importTree(join(under.dataRoot, "images/busybox"), "busybox:latest");
    expect(asked.capabilities.securityProfiles).toContain("default");
    await expect(asked.spawn(spec({ security: "default" }), signal())).rejects.toMatchObject({
      reason: "spawn_failed",
      message: expect.stringContaining("no longer maps root"),
    });
    expect(await containers()).toEqual([]);
    await asked.fingerprint(signal());
    await expect(asked.spawn(spec({ security: "default" }), signal())).rejects.toMatchObject({
      reason: "not_supported",
      remediation: expect.stringContaining("userns-remap"),
    });
  });
});
