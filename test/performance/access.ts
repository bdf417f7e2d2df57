import { apiClient } from "./api-client.ts";
import { connections, fill, list, rows } from "./api-load.ts";
import { rounded, timed, timesOf } from "./figures.ts";
import { atLeast, atMost, type Item } from "./item.ts";
import { load } from "./load.ts";
import { startServerProcess } from "./server-process.ts";

const adminKey = "a".repeat(40);
export const accessKeys = { "auth.admin_api_key": adminKey, "auth.api_key": "k".repeat(40) };

/** What it costs to know who asks: a tenant's named key against a server that asks nobody. */
export const access: Item = async ({ server, n }) => {
  using admin = apiClient(server.url, { "X-Admin-API-Key": adminKey });
  await admin.json("POST", "/api/v1/admin/tenants", { id: "acme", name: "Acme" });
  const { key } = await admin.json<{ readonly key: string }>("POST", "/api/v1/admin/api-keys", {
    name: "bench",
    role: "operator",
    tenant_id: "acme",
  });
  const headers = { "X-API-Key": key };
  await fill(server.databasePath, "acme");
  const run = (requests: number) => load({ url: server.url, path: list, connections, requests, headers });
  await run(2000);
  const lists = [];
  for (let at = 0; at < 3; at++) lists.push(await run(n ?? 10_000));
  const best = lists.toSorted((a, b) => b.requests_per_s - a.requests_per_s)[0];

  await using open = await startServerProcess({ nodeArgs: [], keys: {} });
  using byKey = apiClient(server.url, headers);
  using byNothing = apiClient(open.url);
  const sides = [
    { api: byKey, id: await byKey.createSandbox({ vcpus: 2 }), times: [] as number[] },
    { api: byNothing, id: await byNothing.createSandbox({ vcpus: 2 }), times: [] as number[] },
  ];
  for (const { api, id } of sides) for (let warm = 0; warm < 200; warm++) await api.run(id, "true");
  // In turn, so that whatever else the host does costs both the same.
  for (let at = 0; at < (n ?? 1000); at++) {
    for (const { api, id, times } of sides) times.push((await timed(() => api.run(id, "true"))).ms);
  }
  for (const { api, id } of sides) await api.destroySandbox(id);
  const [withKey, without] = sides.map(({ times }) => timesOf(times));
  const added = rounded((withKey?.p50_ms ?? 0) - (without?.p50_ms ?? 0), 2);
  return {
    figures: { rows, connections, list: lists, exec_with_key: withKey, exec_without: without },
    lines: [
      atLeast("a tenant's list of 50 out of 10,000 by key, at 50 connections", 1700, "/s", best?.requests_per_s ?? 0),
      atLeast("no request failed", 1, "", lists.every((each) => each.failed === 0) ? 1 : 0),
      atMost("what a key adds to an exec, p50", 0.3, "ms", added),
    ],
  };
};
