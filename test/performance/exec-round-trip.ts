import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { rounded, timed, timesOf } from "./figures.ts";
import { atMost, type Item } from "./item.ts";

const atOnce = 200;
const native = resolve(import.meta.dirname, "../../native");

/** The socket at which the agent of the only sandbox listens. */
const agentSocket = (dataDir: string, sandboxId: string): string => {
  const directory = join(dataDir, "oci");
  const found = readdirSync(directory, { recursive: true, encoding: "utf8" }).find(
    (path) => path.includes(sandboxId) && path.endsWith(".sock"),
  );
  if (found === undefined) throw new Error(`no socket of ${sandboxId} under ${directory}`);
  return join(directory, found);
};

/** `true` through the API one by one and many at once, and the same at the agent's own socket. */
export const execRoundTrip: Item = async ({ api, n, server }) => {
  const count = n ?? 1000;
  const program = join(server.dataDir, "agent-bench");
  execFileSync("go", ["build", "-o", program, "./cmd/agent-bench"], { cwd: native });
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

    const socket = agentSocket(server.dataDir, id);
    const argv = ["-socket", socket, "-n", String(count), "-burst", String(atOnce), "-mb", "0"];
    const bare = execFileSync(program, argv, { encoding: "utf8" }).trim().split("\n");
    const through = timesOf(times);
    return {
      figures: {
        through_api: through,
        at_once: { n: atOnce, runs: walls.map((ms) => rounded(ms, 0)), wall_p50_ms: rounded(wall, 0) },
        bare_agent: bare,
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
