import { afterAll, beforeAll, expect, test } from "vitest";
import { post } from "./api.ts";
import { startServer, type TestServer } from "./server.ts";

interface Row {
  readonly id: string;
  readonly created_at: string;
}

let server: TestServer;
let sandboxes: string;
const rows: Row[] = [];
beforeAll(async () => {
  server = await startServer();
  sandboxes = `${server.url}/api/v1/sandboxes`;
  for (const spec of [
    { name: "b", labels: { app: "web", "example.com/tier": "front" }, ttl: "30m" },
    { name: "a", labels: { app: "api" }, ttl: "10m" },
    { labels: { app: "web" }, ttl: "20m" },
  ]) {
    rows.push((await (await post(sandboxes, spec)).json()) as Row);
  }
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

const list = async (query: string): Promise<string> => {
  const answer = await fetch(`${sandboxes}?${query}`);
  const found = (await answer.json()) as readonly Row[];
  return found.map(({ id }) => rows.findIndex((row) => row.id === id)).join(" ");
};

test("labels, names and times filter, and all that is given holds", async () => {
  expect(await list("label=app%3Dweb")).toBe("2 0");
  expect(await list("label=app=web&label=example.com/tier")).toBe("0");
  expect(await list("label=app=web&label=app=api")).toBe("");
  expect(await list("label=app")).toBe("2 1 0");
  expect(await list("name=a")).toBe("1");
  const at = rows[1]?.created_at ?? "";
  expect(await list(`created_after=${at}`)).toBe("2");
  expect(await list(`created_before=${Date.parse(at)}`)).toBe("0");
  expect(await list(`created_before=${encodeURIComponent(at.replace("Z", "+00:00"))}&label=app=api`)).toBe("");
});

test("a list is sorted either way, and its pages go on in the same order", async () => {
  expect(await list("sort=created_at")).toBe("0 1 2");
  expect(await list("sort=expires_at")).toBe("1 2 0");
  expect(await list("sort=-name")).toBe("0 1 2");
  for (const sort of ["created_at", "-created_at", "expires_at", "-expires_at", "name", "-name"]) {
    const seen: string[] = [];
    let cursor = "";
    do {
      const answer = await fetch(`${sandboxes}?sort=${sort}&limit=1${cursor === "" ? "" : `&cursor=${cursor}`}`);
      seen.push(...((await answer.json()) as readonly Row[]).map(({ id }) => id));
      cursor = answer.headers.get("x-next-cursor") ?? "";
      // Somebody who comes in the middle shifts nothing.
      if (seen.length === 1)
        await fetch(`${sandboxes}/${((await (await post(sandboxes, {})).json()) as Row).id}`, { method: "DELETE" });
    } while (cursor !== "");
    expect(seen.map((id) => rows.findIndex((row) => row.id === id)).join(" ")).toBe(await list(`sort=${sort}`));
  }
});

test.each([
  ["sort=name;drop table sandboxes", "sort must be one of"],
  ["sort=id", "sort must be one of"],
  ["label=app'--", "label.0 must be key or key=value"],
  ["label=app=web' or '1'='1", "label.0 must be key or key=value"],
  ["label=", "label.0 must be key or key=value"],
  ["label=app=a=b", "label.0 must be key or key=value"],
  [Array.from({ length: 17 }, (_, n) => `label=a${n}`).join("&"), "label must be given 16 times or fewer"],
  ["name=A'", "name must be lower-case"],
  ["created_after=yesterday", "created_after must be RFC 3339 or epoch milliseconds"],
  ["created_after=2026-13-01T00:00:00Z", "created_after must be RFC 3339 or epoch milliseconds"],
  ["view=everything", "view must be one of basic, full"],
])("%s is refused", async (query, message) => {
  const answer = await fetch(`${sandboxes}?${query}`);
  expect(answer.status).toBe(400);
  expect(((await answer.json()) as { message: string }).message).toContain(message);
});

test("a cursor counts for the order that it was given out for", async () => {
  const first = await fetch(`${sandboxes}?sort=name&limit=1`);
  const cursor = first.headers.get("x-next-cursor");
  expect((await fetch(`${sandboxes}?sort=-name&limit=1&cursor=${cursor}`)).status).toBe(400);
  expect((await fetch(`${sandboxes}?limit=1&cursor=${cursor}`)).status).toBe(400);
});
