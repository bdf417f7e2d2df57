import { rounded, timed, timesOf } from "./figures.ts";
import { atMost, type Item } from "./item.ts";
import { agentBench, putBenchGuest } from "./native-programs.ts";

const atOnce = 200;
/** `true` through the API one by one and many at once, and the same at the agent's own socket. */
export const execRoundTrip: Item = async ({ api, n, server }) => {
  const count = n ?? 1000;
  const id = await api.createSandbox({ vcpus: 2 });
  try {
    for (let warm = 0; warm < 200; warm++) await api.run(id, "true");
    const times: number[] = [];
    for (let at = 0; at < count; at++) times.push((await timed(() => api.run(id, "true"))).ms);
    const burst = () => timed(() => Promise.all(Array.from({ length: atOnce }, () => api.run(id, "true"))));
    await burst();
    const walls: number[] = [];
    for (let at = 0; at < 5; at++) walls.push((await burst()).ms);
    const { p50_ms: wall } = timesOf(walls);

    const bare = await agentBench(server.dataDir, id, { n: count, burst: atOnce, mb: 0 });
    const { inside } = await putBenchGuest(api, server.dataDir, id);
    const startAlone = (await api.run(id, inside, ["start", String(count), "true"])).trim();
    const through = timesOf(times);
    return {
      figures: {
        through_api: through,
        at_once: { n: atOnce, runs: walls.map((ms) => rounded(ms, 0)), wall_p50_ms: rounded(wall, 0) },
        bare_agent: bare,
        without_agent: startAlone,
      },
      lines: [
        atMost("exec true through the API, p50", 4, "ms", through.p50_ms),
        atMost("exec true through the API, p99", 15, "ms", through.p99_ms),
        atMost("200 execs at once in one sandbox, wall", 600, "ms", rounded(wall, 0)),
      ],
    };
  } finally {
    await api.destroySandbox(id);
  }
};
