import { expect, test } from "vitest";
import { collect, sendJson, serve } from "../test/server.ts";
import { Client } from "./index.ts";

/** Serves ids in pages; the cursor is the place to go on from. */
const pages = (ids: readonly string[]) =>
  serve((request, response) => {
    const query = new URL(request.url, "http://x").searchParams;
    const start = Number(query.get("cursor") ?? 0);
    const end = query.has("limit") ? start + Number(query.get("limit")) : ids.length;
    const items = ids.slice(start, end).map((id) => ({ id }));
    sendJson(response, items, 200, end < ids.length ? { "X-Next-Cursor": String(end) } : {});
  });

const ids = ["a", "b", "c", "d", "e"];

test("listAll walks every page once, in order, with the filter on each", async () => {
  await using server = await pages(ids);
  const found = await collect(new Client(server.baseUrl).listAll({ limit: 2, state: "running", owner: "o" }));
  expect(found.map((info) => info.id)).toEqual(ids);
  expect(server.received.map((request) => request.url)).toEqual([
    "/api/v1/sandboxes?limit=2&state=running&owner=o&view=full",
    "/api/v1/sandboxes?limit=2&cursor=2&state=running&owner=o&view=full",
    "/api/v1/sandboxes?limit=2&cursor=4&state=running&owner=o&view=full",
  ]);
});

test("a page is a plain array that knows where it goes on", async () => {
  await using server = await pages(ids);
  const client = new Client(server.baseUrl);
  const page = await client.list({ limit: 3 });
  expect(page).toEqual([{ id: "a" }, { id: "b" }, { id: "c" }]);
  expect((await client.list({ limit: 3, cursor: page.nextCursor })).nextCursor).toBeUndefined();
  expect(Object.keys(await client.list())).toEqual(["0", "1", "2", "3", "4"]);
});

test("withSandbox destroys whatever the callback does, and hands on its outcome", async () => {
  await using server = await serve((request, response) =>
    request.method === "DELETE"
      ? sendJson(response, { code: "INTERNAL_ERROR", message: "cannot" }, 500)
      : sendJson(response, { id: "sb-1", state: "running" }, 201),
  );
  const client = new Client(server.baseUrl);
  expect(await client.withSandbox({ memory_mb: 0 }, (sandbox) => sandbox.id)).toBe("sb-1");
  const fail = () => Promise.reject(new Error("mine"));
  await expect(client.withSandbox({}, fail)).rejects.toThrow("mine");
  expect(server.received.map((request) => request.method)).toEqual(["POST", "DELETE", "POST", "DELETE"]);
  expect(JSON.parse(String(server.received[0]?.body))).toEqual({ image: "alpine:latest", memory_mb: 0 });
});

test("a list says every label, and times as the server reads them", async () => {
  await using server = await serve((_, response) => sendJson(response, []));
  await new Client(server.baseUrl).list({
    labels: { app: "web", "example.com/tier": true, empty: "" },
    name: "a",
    createdAfter: new Date(5),
    createdBefore: "2026-01-01T00:00:00+01:00",
    sort: "-name",
  });
  const query = new URL(server.received[0]?.url ?? "", server.baseUrl).searchParams;
  expect(query.getAll("label")).toEqual(["app=web", "example.com/tier", "empty="]);
  query.delete("label");
  expect(Object.fromEntries(query)).toEqual({
    name: "a",
    created_after: "5",
    created_before: "2026-01-01T00:00:00+01:00",
    sort: "-name",
    view: "full",
  });
});

test("no name and no path leads a request with our key to another address than its own", async () => {
  await using server = await serve((_request, response) => sendJson(response, { id: "sb-1", state: "running" }));
  const client = new Client({ baseUrl: server.baseUrl, apiKey: "k" });
  for (const id of [".", ".."]) await expect(client.get(id)).rejects.toThrow("can't be a name in an address");
  const sandbox = await client.get("sb-1");
  for (const path of ["/../../../admin/audit", "..", "/a/../..", "/%2e%2e/%2E./x", "\\..\\..\\x", "/a/..\\../.."]) {
    await expect(sandbox.fetch(80, path)).rejects.toThrow("leads out of the port");
  }
  await sandbox.fetch(80, "/a/../b?c=/../..#d");
  expect(server.received.map(({ url }) => url)).toEqual([
    "/api/v1/sandboxes/sb-1?view=full",
    "/api/v1/sandboxes/sb-1/ports/80/proxy/b?c=/../..",
  ]);
});
