import { expect, test } from "vitest";
import { collect, sendJson, serve } from "../test/server.ts";
import { Client } from "./index.ts";

const info = { id: "pr-1", state: "running", pty: false };

test("a start always says its mode, and nothing of the call's own limits", async () => {
  await using server = await serve((_request, response) => sendJson(response, { ...info }));
  const sandbox = await new Client(server.baseUrl).get("sb-1");
  await sandbox.processes.start("ls", { timeoutMs: 5_000, signal: AbortSignal.timeout(5_000), tag: "t" });
  expect(JSON.parse(String(server.received.at(-1)?.body))).toEqual({ command: "ls", mode: "shell", tag: "t" });
});

test("what comes before live is replayed, what comes after isn't, and unknown events are passed over", async () => {
  const line = (offset: number) => ({ type: "output", stream: "stdout", offset, data: "AP8=" });
  const lines = [
    line(0),
    { type: "gap", offset: 2, until: 4 },
    line(4),
    { type: "live", offset: 6 },
    { type: "new" },
    line(6),
  ];
  await using server = await serve((request, response) => {
    if (!request.url.includes("/output")) return sendJson(response, { ...info });
    response.end(lines.map((each) => `${JSON.stringify(each)}\n`).join(""));
  });
  const sandbox = await new Client(server.baseUrl).get("sb-1");
  const events = await collect(sandbox.processes.attach("pr-1", { offset: 7 }));
  expect(events.map((event) => ("replayed" in event ? event.replayed : event.type))).toEqual([
    true,
    "gap",
    true,
    "live",
    false,
  ]);
  expect(events[0]).toMatchObject({ data: Uint8Array.from([0, 255]) });
  expect(server.received.at(-1)?.url).toMatch(/\/processes\/pr-1\/output\?offset=7&follow=true&encoding=base64$/);
});
