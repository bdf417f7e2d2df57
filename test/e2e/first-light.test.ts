import { expect, test } from "vitest";
import { startServer } from "./server.ts";

const json = (body: object) => ({ method: "POST", body: JSON.stringify(body) });

test("a stranger spawns a sandbox, runs a command, reads a file back and leaves nothing", async () => {
  await using server = await startServer();
  const sandboxes = `${server.url}/api/v1/sandboxes`;
  const spawned = await fetch(sandboxes, json({ metadata: { job: "42" } }));
  expect(spawned.status).toBe(201);
  const sandbox = (await spawned.json()) as { id: string; state: string; provider: string };
  expect(sandbox).toMatchObject({ state: "running", provider: "oci" });
  expect(sandbox.id).toMatch(/^sb-[0-9a-f]{16}$/);

  const ran = await fetch(`${sandboxes}/${sandbox.id}/exec`, json({ command: "echo hi > out.txt && id -u && exit 3" }));
  expect(await ran.json()).toMatchObject({ exit_code: 3, stdout: "0\n", stderr: "" });
  const file = await fetch(`${sandboxes}/${sandbox.id}/files?path=out.txt`);
  expect(await file.text()).toBe("hi\n");

  const gone = await fetch(`${sandboxes}/${sandbox.id}`, { method: "DELETE" });
  expect(await gone.json()).toEqual({ status: "destroyed" });
  expect((await fetch(`${sandboxes}/${sandbox.id}`)).status).toBe(404);
});
