import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { leftOver, type OwnSnapshot, ownSnapshot, settledLeftOver } from "../leaks/snapshot.ts";
import { sandboxesOf } from "./api.ts";
import { followEvents } from "./events.ts";
import type { FaultGround } from "./ground.ts";
import { destroyOwned, ownedBy } from "./owned.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "./server-process.ts";
import { configOf, faultTargets } from "./targets.ts";

const built = resolve(import.meta.dirname, "../../build");
const soon = { timeout: 15_000, interval: 20 };
/** Nothing is found because its time had come. */
const never = { "reaper.interval": "1h", "reconcile.interval": "1h" };

const emptied = (path: string): string => {
  rmSync(path);
  return path;
};

/** Linux tells how a process ended that somebody else has reaped since 6.15. */
const tellsEnds = (): boolean => {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 15);
};

describe.runIf(process.getuid?.() === 0).each(faultTargets.filter(({ usesHostHelper }) => usesHostHelper))(
  "records and runtimes, sandboxes by $provider",
  (target) => {
    const { provider } = target;
    let ground: FaultGround;
    let nativeDir: string;
    let host: FaultHost;
    let server: ServerProcess;
    let sandboxes: ReturnType<typeof sandboxesOf>;
    let before: OwnSnapshot;

    const start = async (config: Readonly<Record<string, string>> = never): Promise<void> => {
      server = await host.start(config);
      sandboxes = sandboxesOf(server.url);
    };
    const stop = async (): Promise<void> => {
      server.signal("SIGTERM");
      expect(await server.ended).toBe("0");
    };
    const scope = () => ({ dataDir: host.dataDir, servers: [server.pid] });
    const nothingLeft = async () => expect(await settledLeftOver(before, scope(), 10_000)).toEqual([]);
    const marked = async (): Promise<string> => {
      const { id } = await sandboxes.spawn(provider);
      await sandboxes.sh(id, "echo kept > mark");
      return id;
    };
    const serves = async (id: string) => expect(await sandboxes.sh(id, "cat mark")).toBe("kept\n");
    const state = async (id: string) => (await sandboxes.get(id)).state;
    const agentOf = async (id: string): Promise<number> =>
      (await ownedBy(host.dataDir)).find(({ sandbox_id }) => sandbox_id === id)?.pid ?? 0;
    const record = (id: string, name: string) => join(host.dataDir, "oci/run", id, name);
    /** On the database of a server that is stopped. */
    const change = (statement: string, ...values: readonly (string | number)[]) => {
      using database = new DatabaseSync(join(host.dataDir, "stacyvm.db"));
      expect(database.prepare(statement).run(...values).changes).toBe(1);
    };

    beforeAll(async () => {
      nativeDir = await mkdtemp(join(tmpdir(), "stacyvm-native-"));
      await copyFile(join(built, "stacyvm-agent"), join(nativeDir, "stacyvm-agent"));
      await copyFile(join(built, "stacyvm-host"), join(nativeDir, "stacyvm-host"));
      ground = await target.ground();
      host = await makeFaultHost(configOf(target, ground), { nativeDir });
      await start();
      await sandboxes.destroy((await sandboxes.spawn(provider)).id);
      before = await ownSnapshot(scope());
    });

    afterAll(async () => {
      await host[Symbol.asyncDispose]();
      await ground[Symbol.asyncDispose]();
      await rm(nativeDir, { recursive: true });
    });

    afterEach(async (test) => {
      if (test.task.result?.state !== "fail") return;
      // The next one begins with nothing.
      server.signal("SIGKILL");
      await server.ended;
      await destroyOwned(host.dataDir);
      await start();
      for (const { id } of await sandboxes.list()) await sandboxes.destroy(id);
      before = await ownSnapshot(scope());
    });

    it("an agent that dies by itself is told at once, with how it ended", async () => {
      const id = await marked();
      await using events = await followEvents(server.url);
      const pid = await agentOf(id);
      const killedAt = performance.now();
      process.kill(pid, "SIGKILL");
      await vi.waitFor(async () => expect(await state(id)).toBe("error"), soon);
      console.info(
        `an agent's death was in its record after ${Math.round(performance.now() - killedAt)} ms (${provider})`,
      );
      const how = tellsEnds() ? ": killed by SIGKILL" : "";
      expect(events.seen.find(({ type }) => type === "sandbox.error")).toMatchObject({
        sandbox_id: id,
        data: { provider, error: `its runtime ended by itself${how}` },
      });
      await expect(sandboxes.sh(id, "true")).rejects.toThrow(/^409 .*its runtime ended by itself/);
      await sandboxes.destroy(id);
      await nothingLeft();
    });

    it("a runtime reference that nobody can read is written anew from what runs", async () => {
      const id = await marked();
      await stop();
      change("UPDATE sandboxes SET runtime_ref = ? WHERE id = ?", '{"version":', id);
      await start();
      expect(await state(id)).toBe("running");
      await serves(id);
      await sandboxes.destroy(id);
      await nothingLeft();
    });

    it("a lease that another server held, and has lost, is taken over with its generation", async () => {
      const id = await marked();
      await stop();
      change("UPDATE leases SET holder_id = 'another', generation = 7, expires_at = 1 WHERE resource_id = ?", id);
      await start();
      await serves(id);
      using database = new DatabaseSync(join(host.dataDir, "stacyvm.db"), { readOnly: true, timeout: 5_000 });
      expect(database.prepare("SELECT generation FROM sandboxes WHERE id = ?").get(id)).toEqual({ generation: 8 });
      await sandboxes.destroy(id);
      await nothingLeft();
    });

    it("a damaged owner record costs no sandbox that has a row, and is removed with one that has none", async () => {
      const [kept, orphan] = [await marked(), await marked()];
      await stop();
      for (const id of [kept, orphan]) await writeFile(record(id, "owner.json"), "\0garbage");
      change("DELETE FROM sandboxes WHERE id = ?", orphan);
      await start();
      await serves(kept);
      expect((await ownedBy(host.dataDir)).map(({ sandbox_id }) => sandbox_id)).toEqual([kept]);
      await sandboxes.destroy(kept);
      change("DELETE FROM leases WHERE resource_id = ?", orphan);
      await nothingLeft();
    });

    it.each([
      { what: "nothing but rubbish", damage: (path: string) => writeFileSync(path, "\0garbage") },
      { what: "a pipe", damage: (path: string) => void execFileSync("mkfifo", [emptied(path)]) },
      { what: "a directory", damage: (path: string) => mkdirSync(emptied(path)) },
    ])("a sandbox whose record of its runtime is $what is ended whole, and the server starts", async ({ damage }) => {
      const [good, bad] = [await marked(), await marked()];
      await stop();
      damage(record(bad, "runtime.json"));
      await start();
      await serves(good);
      await expect(sandboxes.get(bad)).rejects.toThrow(/sandbox_destroyed/);
      await sandboxes.destroy(good);
      await nothingLeft();
    });

    it("a directory that holds no sandbox, and can't be one's, keeps nobody from starting", async () => {
      const id = await marked();
      await stop();
      const strays = ["Not A Sandbox", "empty", "file"].map((name) => record(name, ""));
      execFileSync("mkdir", strays.slice(0, 2));
      await writeFile(join(host.dataDir, "oci/run/plain"), "");
      await start();
      await serves(id);
      await sandboxes.destroy(id);
      // An empty one is a spawn that died at once; what was never ours stays.
      const left = async () => leftOver(before, await ownSnapshot(scope()));
      await vi.waitFor(
        async () => expect(await left()).toEqual(["files: oci/run/Not A Sandbox", "files: oci/run/plain"]),
        soon,
      );
      await rm(record("Not A Sandbox", ""), { recursive: true });
      await rm(join(host.dataDir, "oci/run/plain"));
    });

    it("a sandbox whose provider is switched off is unhealthy, not ended, and serves when it is back", async () => {
      const id = await marked();
      await stop();
      await start({ ...never, [`providers.${provider}.enabled`]: "false", "providers.default": "auto" });
      expect(await state(id)).toBe("unhealthy");
      await expect(sandboxes.sh(id, "true")).rejects.toThrow(/^503 .*provider_unavailable/);
      expect((await ownedBy(host.dataDir)).map(({ alive }) => alive)).toEqual([true]);
      await stop();
      await start();
      expect(await state(id)).toBe("running");
      await serves(id);
      await sandboxes.destroy(id);
      await nothingLeft();
    });

    it("while nothing can be asked of the host its sandboxes are unhealthy, and serve again by themselves", async () => {
      const id = await marked();
      await stop();
      const program = join(nativeDir, "stacyvm-host");
      await rename(program, `${program}.away`);
      await start({ ...never, "reconcile.interval": "200ms" });
      expect(await state(id)).toBe("unhealthy");
      await rename(`${program}.away`, program);
      await vi.waitFor(async () => expect(await state(id)).toBe("running"), soon);
      await serves(id);
      await sandboxes.destroy(id);
      await nothingLeft();
    });

    it("what ended while nobody looked is found by the next round", async () => {
      await stop();
      await start({ ...never, "reconcile.interval": "200ms" });
      const id = await marked();
      const children = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, "utf8");
      const pid = await agentOf(id);
      // Neither can tell.
      for (const one of children.trim().split(" ")) process.kill(Number(one), "SIGKILL");
      process.kill(pid, "SIGKILL");
      await vi.waitFor(async () => expect(await state(id)).toBe("error"), soon);
      await sandboxes.destroy(id);
      await nothingLeft();
    });
  },
);
