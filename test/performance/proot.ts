import { timed, timesOf } from "./figures.ts";
import { atMost, type Item } from "./item.ts";

export const prootKeys = { "providers.default": "proot", "providers.proot.enabled": "true" };

/** Sandboxes below PRoot: `true` through the API one by one, and a sandbox's first result and end. */
export const proot: Item = async ({ api, n }) => {
  const count = n ?? 500;
  const first: number[] = [];
  const ends: number[] = [];
  for (let at = 0; at < 20; at++) {
    let id = "";
    const made = await timed(async () => {
      id = await api.createSandbox();
      await api.run(id, "true");
    });
    first.push(made.ms);
    ends.push((await timed(() => api.destroySandbox(id))).ms);
  }
  const id = await api.createSandbox({ vcpus: 2 });
  try {
    for (let warm = 0; warm < 50; warm++) await api.run(id, "true");
    const times: number[] = [];
    for (let at = 0; at < count; at++) times.push((await timed(() => api.run(id, "true"))).ms);
    const through = timesOf(times);
    return {
      figures: { through_api: through, first_result: timesOf(first), destroy: timesOf(ends) },
      lines: [atMost("exec true through the API on PRoot, p50", 12, "ms", through.p50_ms)],
    };
  } finally {
    await api.destroySandbox(id);
  }
};
