import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Metrics, ProviderDetail } from "@stacyvm/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { post, spawnSandbox } from "./api.ts";
import { startServer, type TestServer } from "./server.ts";

const mib = 1024 ** 2;
const tool = (program: string, ...args: readonly string[]) => execFileSync(program, args);
const keyed = { "X-API-Key": "k" };

describe.runIf(process.getuid?.() === 0)("a server whose data has a disk of its own", () => {
  let folder: string;
  let disk: string;
  let filler: string;
  let server: TestServer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "stacyvm-disk-"));
    chmodSync(folder, 0o711);
    disk = join(folder, "disk");
    mkdirSync(disk);
    filler = join(disk, "filler");
    writeFileSync(join(folder, "image"), "");
    truncateSync(join(folder, "image"), 512 * mib);
    tool("mkfs.ext4", "-q", "-m", "0", join(folder, "image"));
    tool("mount", "-o", "loop", join(folder, "image"), disk);
    server = await startServer({
      parentDir: disk,
      config: { "providers.mock.enabled": "true", "disk.min_free": "128m" },
    });
  });

  afterAll(async () => {
    rmSync(filler, { force: true });
    await server?.[Symbol.asyncDispose]();
    tool("umount", disk);
    rmSync(folder, { recursive: true });
  });

  const get = async <Answer>(path: string, url = server.url) =>
    (await (await fetch(`${url}/api/v1${path}`)).json()) as Answer;
  const fill = () => {
    const { bavail, bsize } = statfsSync(disk);
    tool("fallocate", "-l", String(bavail * bsize - 100 * mib), filler);
  };
  const health = () => get("/health");

  test("tells its disks and what its images take, to providers' readers and to metrics", async () => {
    await using _oci = await spawnSandbox(server, { provider: "oci" });
    await using _mock = await spawnSandbox(server, { provider: "mock" });
    const { blocks, bsize } = statfsSync(disk);
    const { disk: figures } = await get<Metrics>("/metrics");
    const uses = ["data", "images", "sandboxes"];
    expect(figures.disks.map((each) => each.use)).toEqual(uses);
    for (const each of figures.disks) {
      expect(each).toMatchObject({ total_bytes: blocks * bsize, floor_bytes: 128 * mib, low: false });
      expect(each.free_bytes).toBeGreaterThan(128 * mib);
      expect(each.free_bytes).toBeLessThan(each.total_bytes);
    }
    expect(figures.images_bytes).toBeGreaterThan(500_000);
    const detail = await get<ProviderDetail>("/providers/oci");
    expect(detail.disk).toMatchObject({ images_bytes: figures.images_bytes, sandboxes_promised_bytes: 1024 * mib });
    expect((await get<ProviderDetail>("/providers/mock")).disk.sandboxes_promised_bytes).toBe(0);
    const text = await (await fetch(`${server.url}/api/v1/metrics/prometheus`)).text();
    for (const use of uses) expect(text).toContain(`stacyvm_disk_total_bytes{use="${use}"} ${blocks * bsize}\n`);
    expect(text).toContain(`stacyvm_images_bytes ${figures.images_bytes}\n`);
  });

  test("refuses new sandboxes while it is nearly full, goes on serving the others, and takes some again", async () => {
    await using old = await spawnSandbox(server, { provider: "oci" });
    expect(await health()).toMatchObject({ status: "ok" });
    fill();
    await expect.poll(health).toMatchObject({ status: "degraded", degraded: ["host_disk_low"] });
    for (const provider of ["oci", "mock"]) {
      const refused = await post(`${server.url}/api/v1/sandboxes`, { provider });
      expect(refused.status).toBe(507);
      expect(await refused.json()).toMatchObject({
        code: "RESOURCE_LIMIT",
        reason: "host_disk_low",
        message: expect.stringContaining("disk.min_free (128m)"),
        remediation: expect.stringContaining("stacyvm image gc"),
      });
    }
    const admission = await post(`${server.url}/api/v1/sandboxes/admission`, {});
    expect(await admission.json()).toMatchObject({ allowed: false, queueable: false, reason: "host_disk_low" });
    expect((await get<readonly object[]>("/sandboxes")).length).toBe(1);
    expect((await old.exec({ command: "echo more > /workspace/a; cat /workspace/a" })).body.stdout).toBe("more\n");
    expect((await get<Metrics>("/metrics")).disk.disks[0]?.low).toBe(true);
    rmSync(filler);
    await expect.poll(health).toEqual({ status: "ok", uptime: expect.any(String), version: expect.any(String) });
    await using again = await spawnSandbox(server, { provider: "oci" });
    expect((await again.exec({ command: "true" })).body.exit_code).toBe(0);
  });

  test("a stranger learns that it is degraded, and not why", async () => {
    await using closed = await startServer({
      parentDir: disk,
      config: { "auth.api_key": "k", "disk.min_free": "99%" },
    });
    expect(await get("/health", closed.url)).toEqual({ status: "degraded", uptime: expect.any(String) });
    const known = await fetch(`${closed.url}/api/v1/health`, { headers: keyed });
    expect(await known.json()).toMatchObject({ status: "degraded", degraded: ["host_disk_low"] });
  });
});
