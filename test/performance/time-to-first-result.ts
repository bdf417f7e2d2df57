import { setTimeout as pause } from "node:timers/promises";
import type { ApiClient } from "./api-client.ts";
import { rounded, timed, timesOf } from "./figures.ts";
import { atLeast, atMost, type Item } from "./item.ts";
import { runcRun } from "./runc-run.ts";

const staggerMs = 200;
const runtimePath = "/usr/sbin/runc";

interface Round {
  readonly toResultMs: number;
  readonly destroyMs: number;
}

/** Fails when the sandbox shows a file that another one left. */
const seesOnlyItself = async (api: ApiClient, id: string): Promise<void> => {
  await api.run(id, "touch", [`/workspace/marker-${id}`, `/tmp/marker-${id}`]);
  const seen = await api.run(id, "find", ["/", "-xdev", "-name", "marker-*"]);
  const foreign = seen.split("\n").filter((path) => path !== "" && !path.endsWith(`marker-${id}`));
  if (foreign.length > 0 || seen === "") throw new Error(`${id} shows ${seen}`);
};

const round = async (api: ApiClient): Promise<Round> => {
  const made = await timed(async () => {
    const id = await api.createSandbox();
    await api.run(id, "true");
    return id;
  });
  try {
    await seesOnlyItself(api, made.value);
  } catch (error) {
    await api.destroySandbox(made.value);
    throw error;
  }
  const ended = await timed(() => api.destroySandbox(made.value));
  return { toResultMs: made.ms, destroyMs: ended.ms };
};

/** Failures stay in the rate. */
const summary = (rounds: readonly PromiseSettledResult<Round>[], wallMs: number) => {
  const good = rounds.filter((each) => each.status === "fulfilled").map(({ value }) => value);
  const failed = rounds.filter((each) => each.status === "rejected");
  return {
    create_to_first_result: timesOf(good.map(({ toResultMs }) => toResultMs)),
    destroy: timesOf(good.map(({ destroyMs }) => destroyMs)),
    success_rate: rounded(good.length / rounds.length, 4),
    wall_ms: rounded(wallMs, 0),
    failures: failed.slice(0, 5).map(({ reason }) => String(reason)),
  };
};

const burst = async (api: ApiClient, n: number) => {
  let lastResultAt = 0;
  const startedAt = performance.now();
  const made = await Promise.allSettled(
    Array.from({ length: n }, async () => {
      const { ms, value } = await timed(async () => {
        const id = await api.createSandbox();
        await api.run(id, "true");
        return id;
      });
      lastResultAt = performance.now();
      return { ms, id: value };
    }),
  );
  const good = made.filter((each) => each.status === "fulfilled").map(({ value }) => value);
  const alone = await Promise.allSettled(good.map(({ id }) => seesOnlyItself(api, id)));
  const destroyed = await timed(() => Promise.allSettled(good.map(({ id }) => timed(() => api.destroySandbox(id)))));
  const ended = destroyed.value.filter((each) => each.status === "fulfilled");
  const whole = Math.min(alone.filter(({ status }) => status === "fulfilled").length, ended.length);
  const reasons = [...made, ...alone, ...destroyed.value].filter((each) => each.status === "rejected");
  return {
    create_to_first_result: timesOf(good.map(({ ms }) => ms)),
    destroy: timesOf(ended.map(({ value }) => value.ms)),
    success_rate: rounded(whole / n, 4),
    wall_ms: rounded(lastResultAt - startedAt, 0),
    destroy_wall_ms: rounded(destroyed.ms, 0),
    failures: reasons.slice(0, 5).map(({ reason }) => String(reason)),
  };
};

/** Create until the first command's result, cold: one by one beside `runc run`, staggered, and at once. */
export const timeToFirstResult: Item = async ({ api, n, server, agentPath }) => {
  const runc = runcRun({ image: server.image, directory: server.dataDir, agentPath, runtimePath, memoryMb: 512 });
  for (let warm = 0; warm < 5; warm++) {
    await round(api);
    runc();
  }
  const rounds: PromiseSettledResult<Round>[] = [];
  const raw: number[] = [];
  const loop = await timed(async () => {
    for (let at = 0; at < (n ?? 100); at++) {
      rounds.push(...(await Promise.allSettled([round(api)])));
      raw.push(runc());
    }
  });
  const sequential = summary(rounds, loop.ms - raw.reduce((sum, ms) => sum + ms, 0));

  const staggeredRun = await timed(async () => {
    const running: Promise<Round>[] = [];
    for (let at = 0; at < Math.min(n ?? 50, 50); at++) {
      running.push(round(api));
      await pause(staggerMs);
    }
    return await Promise.allSettled(running);
  });
  const burst50 = await burst(api, 50);
  const burst100 = await burst(api, 100);
  const byHand = timesOf(raw);
  const { p50_ms: p50 } = sequential.create_to_first_result;
  return {
    figures: {
      sequential,
      runc_run_true: byHand,
      ratio_to_runc_run: rounded(p50 / byHand.p50_ms),
      staggered: summary(staggeredRun.value, staggeredRun.ms),
      burst_50: burst50,
      burst_100: burst100,
    },
    lines: [
      atMost("create to first result, cold, p50", 60, "ms", p50),
      atMost("destroy, p50", 40, "ms", sequential.destroy.p50_ms),
      atLeast("sequential, success", 1, "", sequential.success_rate),
      atLeast("burst of 50, success", 1, "", burst50.success_rate),
      atMost("burst of 50, wall", 4000, "ms", burst50.wall_ms),
    ],
  };
};
