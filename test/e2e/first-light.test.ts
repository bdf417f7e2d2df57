import { expect, test } from "vitest";
import { spawnSandbox } from "./api.ts";
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

test("a sandbox has the disk, the memory and the security profile that the defaults name", async () => {
  const defaults = { disk_size_mb: "48", memory_mb: "64", security: "restricted" };
  const config = Object.fromEntries(Object.entries(defaults).map(([key, value]) => [`defaults.${key}`, value]));
  await using server = await startServer({ config });
  await using sandbox = await spawnSandbox(server, {});
  const command = "id -u; df -m / | awk 'END { print $2 }'; head -c 80000000 /dev/zero | tail | wc -c";
  const { body } = await sandbox.exec({ command });
  const [user, diskMb, read] = body.stdout.split("\n").map(Number);
  expect(user).toBe(1000);
  expect(diskMb).toBeGreaterThan(24);
  expect(diskMb).toBeLessThanOrEqual(48);
  expect(read).toBe(0);
});
