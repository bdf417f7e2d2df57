import { randomBytes } from "node:crypto";
import { createStore } from "../../packages/server/src/store/create-store.ts";
import type { ApiClient } from "./api-client.ts";
import { atLeast, type Item } from "./item.ts";
import { load } from "./load.ts";

export const rows = 10_000;
export const connections = 50;
export const list = "/api/v1/sandboxes?limit=50";

/** Rows of another worker, which this server lists and leaves alone. */
export const fill = async (databasePath: string, tenantId = ""): Promise<void> => {
  const nowMs = Date.now();
  await using store = await createStore({ database: { driver: "sqlite", path: databasePath }, nowMs });
  for (let at = 0; at < rows; at++) {
    await store.sandboxes.insert({
      id: `sb-${randomBytes(8).toString("hex")}`,
      state: "running",
      stateReason: "",
      provider: "oci",
      image: "alpine:latest",
      imageDigest: `sha256:${"0".repeat(64)}`,
      memoryMb: 512,
      vcpus: 1,
      diskMb: 1024,
      security: "default",
      ownerId: `owner-${at % 100}`,
      tenantId,
      projectId: "",
      workerId: "elsewhere",
      metadata: { purpose: "load", number: String(at) },
      runtimeRef: "",
      generation: 1,
      createdAtMs: nowMs - at,
      expiresAtMs: nowMs + 24 * 3600_000,
      updatedAtMs: nowMs,
      stateDeadlineMs: 0,
      name: "",
      labels: {},
      envNames: [],
      workdir: "",
      user: "",
      networkMode: "none",
      network: undefined,
      secrets: [],
    });
  }
};

/** A sandbox made under load stands first in the very next list. */
const seesNewest = async (api: ApiClient): Promise<boolean> => {
  const id = await api.createSandbox();
  const [first] = await api.json<readonly { readonly id: string }[]>("GET", list);
  await api.destroySandbox(id);
  const after = await api.json<readonly { readonly id: string }[]>("GET", list);
  return first?.id === id && after.every((each) => each.id !== id);
};

/** Lists of 50 out of 10,000, and single rows, at 50 connections. */
export const apiLoad: Item = async ({ api, n, server }) => {
  await fill(server.databasePath);
  const page = await api.json<readonly { readonly id: string }[]>("GET", list);
  if (page.length !== 50) throw new Error(`a page has ${page.length} rows`);
  const get = `/api/v1/sandboxes/${page[25]?.id}`;
  const run = (path: string, requests: number) => load({ url: server.url, path, connections, requests });
  await run(list, 2000);
  const requests = n ?? 10_000;
  const lists = [];
  let fresh = true;
  for (let at = 0; at < 3; at++) {
    lists.push(await run(list, requests));
    const [, seen] = await Promise.all([run(list, 1000), seesNewest(api)]);
    fresh &&= seen;
  }
  const gets = [];
  for (let at = 0; at < 3; at++) gets.push(await run(get, requests));
  const best = lists.toSorted((a, b) => b.requests_per_s - a.requests_per_s)[0];
  const failed = [...lists, ...gets].reduce((sum, each) => sum + each.failed, 0);
  return {
    figures: { rows, connections, list: lists, get: gets, fresh, failed },
    lines: [
      atLeast("list of 50 out of 10,000 at 50 connections", 2000, "/s", best?.requests_per_s ?? 0),
      atLeast("a new sandbox is in the next list", 1, "", fresh ? 1 : 0),
      atLeast("no request failed", 1, "", failed === 0 ? 1 : 0),
    ],
  };
};
