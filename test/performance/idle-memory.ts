import { rounded } from "./figures.ts";
import { atMost, type Item } from "./item.ts";
import { descendants, pssBytes, sandboxProcesses } from "./process-memory.ts";

const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0);

const inside = (id: string): number => sum(sandboxProcesses(id).map(pssBytes));

/** Memory of idle sandboxes: the processes in each, and what server and host program grew by, shared among them. */
export const idleMemory: Item = async ({ api, n, server }) => {
  const count = n ?? 50;
  const host = () => sum([server.pid, ...descendants(server.pid)].map(pssBytes));
  const make = async (): Promise<string> => {
    const id = await api.createSandbox();
    await api.run(id, "true");
    return id;
  };
  // What a server allocates once is not a sandbox's.
  for (let warm = 0; warm < 20; warm++) await api.destroySandbox(await make());
  const ids: string[] = [];
  try {
    const before = host();
    ids.push(await make());
    const one = { inside: inside(ids[0] ?? ""), host: host() - before };
    while (ids.length < count) ids.push(await make());
    const many = { inside: sum(ids.map(inside)) / count, host: (host() - before) / count };
    const mb = (bytes: number): number => rounded(bytes / 1e6);
    return {
      figures: {
        at_one: { inside_mb: mb(one.inside), host_grew_mb: mb(one.host) },
        mean: { n: count, inside_mb: mb(many.inside), host_grew_mb: mb(many.host) },
      },
      lines: [
        atMost("idle sandbox at one, PSS all told", 15, "MB", mb(one.inside + Math.max(0, one.host))),
        atMost(`idle sandbox, mean over ${count}, PSS all told`, 15, "MB", mb(many.inside + Math.max(0, many.host))),
      ],
    };
  } finally {
    for (const id of ids) await api.destroySandbox(id);
  }
};
