import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OwnSnapshot, ownSnapshot, settledLeftOver } from "../leaks/snapshot.ts";
import { sandboxesOf } from "./api.ts";
import type { FaultGround } from "./ground.ts";
import { type FaultHost, makeFaultHost, type ServerProcess } from "./server-process.ts";
import { configOf, type FaultTarget } from "./targets.ts";

/** Sandboxes that are made, used and destroyed at the same time. */
const concurrency = 8;
/** How often the processes are looked at on the way. */
const looks = 40;
const growthMaxMb = 64;
/** At rest, of the server and its programs together: connections that this client and the server keep for the next request. */
const moreFilesMax = 64;
/** Rounds after which memory that grows is no longer a program's warming up. */
const flatFrom = 2_000;

interface Look {
  readonly residentMb: number;
  readonly files: number;
}

const lookAt = (pids: readonly number[]): Look => {
  const sum = (of: (pid: number) => number) => pids.reduce((total, pid) => total + of(pid), 0);
  return {
    residentMb: sum((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024),
    files: sum((pid) => readdirSync(`/proc/${pid}/fd`).length),
  };
};

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

/** Create, exec, destroy, again and again: every call succeeds, the server stays flat, and nothing is left over. */
export const describeChurn = (target: FaultTarget, rounds: number): void => {
  const { provider } = target;
  describe.runIf(process.getuid?.() === 0)(`churn of ${rounds} sandboxes by ${provider}`, () => {
    let ground: FaultGround;
    let host: FaultHost;
    let server: ServerProcess;
    let before: OwnSnapshot;
    const scope = () => ({ dataDir: host.dataDir, engines: ground.engines, servers: [server.pid] });

    beforeAll(async () => {
      ground = await target.ground();
      host = await makeFaultHost(configOf(target, ground));
      server = await host.start();
      const sandboxes = sandboxesOf(server.url);
      // The first sandbox makes what all later ones share.
      await sandboxes.destroy((await sandboxes.spawn(provider)).id);
      before = await ownSnapshot(scope());
    });

    afterAll(async () => {
      await ground.clear(host.dataDir);
      await host[Symbol.asyncDispose]();
      await ground[Symbol.asyncDispose]();
    });

    it("makes, uses and destroys every one, stays flat, and leaves nothing", async () => {
      const sandboxes = sandboxesOf(server.url);
      const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8").trim().split(" ");
      const pids = [server.pid, ...children.filter((child) => child !== "").map(Number)];
      const atRest = lookAt(pids);
      const failures: string[] = [];
      const seen: Look[] = [];
      let [begun, ended] = [0, 0];
      const startedAt = performance.now();
      const lane = async () => {
        while (begun < rounds) {
          const round = begun++;
          try {
            const { id } = await sandboxes.spawn(provider);
            const answer = await sandboxes.sh(id, `echo ${round} > file && cat file`);
            if (answer !== `${round}\n`) failures.push(`round ${round} answered ${JSON.stringify(answer)}`);
            await sandboxes.destroy(id);
          } catch (error) {
            failures.push(`round ${round}: ${error}`);
          }
          ended += 1;
          if (ended % Math.ceil(rounds / looks) === 0) seen.push(lookAt(pids));
        }
      };
      await Promise.all(Array.from({ length: concurrency }, lane));
      const seconds = (performance.now() - startedAt) / 1_000;
      const quarter = Math.floor(seen.length / 4);
      const [first, last] = [seen.slice(0, quarter), seen.slice(-quarter)];
      const figures = (part: readonly Look[]) => ({
        residentMb: Math.round(mean(part.map(({ residentMb }) => residentMb))),
        files: Math.round(mean(part.map(({ files }) => files))),
      });
      const [early, late] = [figures(first), figures(last)];
      console.info(
        `${provider}: ${rounds} in ${seconds.toFixed(1)} s, ${failures.length} failures; server and its program in the ` +
          `first quarter ${early.residentMb} MiB and ${early.files} files, in the last ${late.residentMb} and ${late.files}`,
      );
      expect(failures).toEqual([]);
      await expect.poll(() => lookAt(pids).files - atRest.files, { timeout: 15_000 }).toBeLessThanOrEqual(moreFilesMax);
      if (rounds >= flatFrom) expect(late.residentMb - early.residentMb).toBeLessThanOrEqual(growthMaxMb);
      expect(await settledLeftOver(before, scope(), 15_000)).toEqual([]);
    }, 3_600_000);
  });
};
