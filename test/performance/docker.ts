import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { engineLacks, startEngine } from "../../packages/server/src/providers/docker/docker-engine.testing.ts";
import { type ApiClient, apiClient } from "./api-client.ts";
import { rounded, timed, timesOf } from "./figures.ts";
import { atLeast, atMost, type Item } from "./item.ts";
import { startServerProcess } from "./server-process.ts";

const run = promisify(execFile);
const atOnce = 20;

/** Create until the first result and destroy, one by one. */
const round = async (api: ApiClient) => {
  const made = await timed(async () => {
    const id = await api.createSandbox();
    await api.run(id, "true");
    return id;
  });
  const ended = await timed(() => api.destroySandbox(made.value));
  return { toResultMs: made.ms, destroyMs: ended.ms };
};

interface Engine {
  readonly remap?: boolean;
  /** As the test engine names it. */
  readonly runtime?: "runc" | "runsc";
  /** Line of an exec's p50. */
  readonly execMaxMs: number;
}

/**
 * Sandboxes of a Docker engine beside the same engine's own client in the same run: `docker run` of `true` without its
 * removal, `docker exec`, and as many of the former at once.
 */
export const docker =
  ({ remap = false, runtime = "runc", execMaxMs }: Engine): Item =>
  async ({ n }) => {
    const lacks = engineLacks(runtime);
    if (lacks !== undefined) throw new Error(lacks);
    await using stack = new AsyncDisposableStack();
    const engine = await startEngine({ remap });
    stack.defer(() => engine.close());
    const server = stack.use(
      await startServerProcess({
        nodeArgs: [],
        keys: {
          "providers.default": "docker",
          "providers.docker.enabled": "true",
          "providers.docker.socket": engine.socket,
          "providers.docker.runtime": runtime,
        },
      }),
    );
    const api = stack.use(apiClient(server.url));
    await engine.importTree(server.image.rootfsPath, "alpine:latest");
    const client = (...args: readonly string[]) =>
      run("docker", args, {
        env: { PATH: process.env.PATH, DOCKER_HOST: engine.socket, DOCKER_CONFIG: server.dataDir },
      });
    const made: string[] = [];
    const runOnce = async (): Promise<void> => {
      const name = `by-hand-${made.length}`;
      made.push(name);
      await client("run", "--runtime", runtime, "--name", name, "--network", "none", "alpine:latest", "true");
    };
    const forget = async (): Promise<void> => {
      if (made.length > 0) await client("rm", "--force", ...made);
    };

    for (let warm = 0; warm < 3; warm++) {
      await round(api);
      await runOnce();
    }
    const rounds: Awaited<ReturnType<typeof round>>[] = [];
    const byHand: number[] = [];
    for (let at = 0; at < (n ?? 50); at++) {
      rounds.push(await round(api));
      byHand.push((await timed(runOnce)).ms);
    }
    await forget();

    const id = await api.createSandbox();
    const lives = ["--name", "lives", "--network", "none", "alpine:latest", "sleep", "3600"];
    await client("run", "--runtime", runtime, "--detach", ...lives);
    const execs: number[] = [];
    const execsByHand: number[] = [];
    for (let at = 0; at < (n ?? 50); at++) {
      for (let each = 0; each < 4; each++) execs.push((await timed(() => api.run(id, "true"))).ms);
      execsByHand.push((await timed(() => client("exec", "lives", "true"))).ms);
    }
    await api.destroySandbox(id);
    await client("rm", "--force", "lives");

    const burst = await timed(() => Promise.allSettled(Array.from({ length: atOnce }, () => createAndRun(api))));
    const good = burst.value.filter((each) => each.status === "fulfilled").map(({ value }) => value);
    const failures = burst.value.filter((each) => each.status === "rejected").map(({ reason }) => String(reason));
    await Promise.all(good.map((each) => api.destroySandbox(each)));
    made.length = 0;
    const burstByHand = await timed(() => Promise.all(Array.from({ length: atOnce }, runOnce)));
    await forget();

    const first = timesOf(rounds.map(({ toResultMs }) => toResultMs));
    const destroy = timesOf(rounds.map(({ destroyMs }) => destroyMs));
    const [dockerRun, exec, dockerExec] = [timesOf(byHand), timesOf(execs), timesOf(execsByHand)];
    const ratio = rounded(first.p50_ms / dockerRun.p50_ms);
    const times = rounded(dockerExec.p50_ms / exec.p50_ms, 1);
    return {
      figures: {
        create_to_first_result: first,
        docker_run_true: dockerRun,
        ratio_to_docker_run: ratio,
        destroy,
        exec_true: exec,
        docker_exec_true: dockerExec,
        times_faster_than_docker_exec: times,
        burst: {
          n: atOnce,
          success: good.length,
          failures: failures.slice(0, 5),
          wall_ms: rounded(burst.ms, 0),
          docker_run_wall_ms: rounded(burstByHand.ms, 0),
        },
      },
      lines: [
        atMost("create to first result ÷ docker run, p50", 1.25, "", ratio),
        atMost("exec true through the API, p50", execMaxMs, "ms", exec.p50_ms),
        atLeast("docker exec ÷ exec true, p50", 15, "", times),
        atMost("destroy, p50", 250, "ms", destroy.p50_ms),
        atLeast(`burst of ${atOnce}, success`, 1, "", rounded(good.length / atOnce, 4)),
        atMost(`burst of ${atOnce} ÷ ${atOnce} docker run at once, wall`, 1, "", rounded(burst.ms / burstByHand.ms)),
      ],
    };
  };

const createAndRun = async (api: ApiClient): Promise<string> => {
  const id = await api.createSandbox();
  await api.run(id, "true");
  return id;
};
