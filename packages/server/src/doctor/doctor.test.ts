import { expect, test } from "vitest";
import { cgroupFindings } from "./cgroups.ts";
import { engineFindings } from "./engine.ts";
import type { Finding } from "./finding.ts";
import { kernelFindings } from "./kernel.ts";
import { createMachine, goodKernel, type Machine } from "./machine.testing.ts";
import { createRuntimeWarnings, runtimeFindings } from "./runtimes.ts";
import { serverFindings, wallFindings } from "./walls.ts";

const short = (findings: readonly Finding[]) => Object.fromEntries(findings.map(({ id, status }) => [id, status]));
const only = (findings: readonly Finding[], ...status: readonly Finding["status"][]) =>
  findings.filter((finding) => status.includes(finding.status));

const debian = (machine: Machine, path: string, name: string, version: string) =>
  machine.program("/usr/bin/dpkg-query", { "-S ": `${name}: ${path}`, "-W ": `${name} ${version}` });

test("a kernel with everything is ok throughout", () => {
  using machine = createMachine();
  goodKernel(machine);
  expect(only(kernelFindings(machine.host, { needsMounts: true }), "warn", "fail", "unknown")).toEqual([]);
});

test.each([
  ["kernel.overlay", "/proc/filesystems", "\text4\n", "modprobe overlay"],
  ["kernel.ext4", "/proc/filesystems", "nodev\toverlay\n", "modprobe ext4"],
  ["kernel.user-namespaces", "/proc/sys/user/max_user_namespaces", "0\n", "sysctl user.max_user_namespaces=65536"],
  ["kernel.seccomp", "/proc/sys/kernel/seccomp/actions_avail", "\n", "CONFIG_SECCOMP_FILTER"],
  ["kernel.idmapped-mounts", "/proc/sys/kernel/osrelease", "5.18.19\n", "use Linux 5.19 or newer"],
])("%s fails where it is missing, and says what would help", (id, path, text, remedy) => {
  using machine = createMachine();
  goodKernel(machine);
  machine.file(path, text);
  const found = kernelFindings(machine.host, { needsMounts: true }).find((finding) => finding.id === id);
  expect([found?.status, found?.remedy]).toEqual(["fail", expect.stringContaining(remedy)]);
});

test("a module that isn't loaded yet counts as known", () => {
  using machine = createMachine();
  goodKernel(machine);
  machine.file("/proc/filesystems", "\text4\n");
  machine.file("/lib/modules/6.18.44/modules.dep", "kernel/fs/overlayfs/overlay.ko.xz:\n");
  expect(short(kernelFindings(machine.host, { needsMounts: true }))["kernel.overlay"]).toBe("ok");
});

test.each([
  ["6.18.21", "#1 SMP", "warn", "kernel.linux-kept"],
  ["5.10.101", "#1 SMP", "fail", "kernel.linux-escape"],
  ["6.1.0-49-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-05-03)", "ok", "kernel.holes"],
  ["6.1.0-48-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.164-1 (2026-04-01)", "warn", "kernel.linux-kept"],
  ["6.8.0-31-generic", "#31-Ubuntu SMP", "unknown", "kernel.holes"],
  ["5.14.0-427.el9.x86_64", "#1 SMP", "unknown", "kernel.holes"],
] as const)("of the holes of Linux %s (%s) the finding is %s", (release, built, status, id) => {
  using machine = createMachine();
  goodKernel(machine);
  machine.file("/proc/sys/kernel/osrelease", `${release}\n`);
  machine.file("/proc/sys/kernel/version", `${built}\n`);
  expect(short(kernelFindings(machine.host, { needsMounts: true }))[id]).toBe(status);
});

test("a hole that our filter of system calls closes fails where a wall is enabled that hasn't it", () => {
  using machine = createMachine();
  goodKernel(machine);
  machine.file("/proc/sys/kernel/osrelease", "6.18.21\n");
  const unfiltered = kernelFindings(machine.host, { needsMounts: true, filtersCalls: false });
  expect(short(unfiltered)["kernel.linux-escape"]).toBe("fail");
});

test("a kernel that only root may make user namespaces on warns whoever isn't root", () => {
  for (const [uid, status] of [
    [1000, "warn"],
    [0, "ok"],
  ] as const) {
    using machine = createMachine(uid);
    goodKernel(machine);
    machine.file("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    expect(short(kernelFindings(machine.host, { needsMounts: false }))["kernel.user-namespaces"]).toBe(status);
  }
});

test.each([
  ["cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "cpuset cpu io memory pids\n", "version 2", []],
  [
    "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
    "cpu memory\n",
    "versions 1 and 2",
    [],
  ],
  ["cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "cpu\n", "version 2", ["cgroups.controllers"]],
  ["proc /proc proc rw 0 0\n", "", "no control groups", ["cgroups.mode"]],
] as const)(
  "control groups of %j with %j are told, and what is missing fails",
  (mounts, controllers, mode, failures) => {
    using machine = createMachine();
    machine.file("/proc/self/mounts", mounts);
    machine.file("/sys/fs/cgroup/cgroup.controllers", controllers);
    const findings = cgroupFindings(machine.host, { needed: true });
    expect(findings[0]?.what).toContain(mode);
    expect(only(findings, "fail").map(({ id }) => id)).toEqual(failures);
  },
);

test("a runtime older than its fixed release fails, and its sources are named", async () => {
  using machine = createMachine();
  machine.program("/usr/sbin/runc", "runc version 1.1.4\ncommit: v1.1.4-0-g5fd4c4d1\nspec: 1.0.2-dev");
  const [found] = only(await runtimeFindings(machine.host, { ociRuntime: "runc" }), "fail");
  expect(found).toMatchObject({
    id: "runtimes.runc-escape",
    what: "runc 1.1.4 is older than its fixed release: open to CVE-2024-21626",
    remedy: "install a newer runc from its project",
    sources: ["https://github.com/opencontainers/runc/security/advisories/GHSA-xr7r-f8xq-vfvv"],
  });
});

test("a distribution's patched build counts as fixed, and the same release unpatched doesn't", async () => {
  using machine = createMachine();
  machine.program("/usr/sbin/runc", "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev");
  debian(machine, "/usr/sbin/runc", "runc", "1.1.5+ds1-1+deb12u1");
  const patched = await runtimeFindings(machine.host, { ociRuntime: "runc" });
  expect(short(patched)).toEqual({
    "runtimes.runc-kept": "warn",
    "runtimes.runc-limited": "warn",
  });
  expect(JSON.stringify(patched)).not.toContain("CVE-2024-21626");
  debian(machine, "/usr/sbin/runc", "runc", "1.1.5+ds1-1+b3");
  const [unpatched] = only(await runtimeFindings(machine.host, { ociRuntime: "runc" }), "fail");
  expect(unpatched).toMatchObject({
    what: expect.stringMatching(/^runc 1\.1\.5\+ds1-1\+b3 is older than its fixed release: open to CVE-2024-21626$/),
    remedy: expect.stringContaining("apt-get install --only-upgrade runc"),
  });
});

test("a package whose list names the file without /usr is found nevertheless", async () => {
  using machine = createMachine();
  machine.program("/usr/sbin/runc", "runc version 1.1.5+ds1");
  debian(machine, "/sbin/runc", "runc", "1.1.5+ds1-1+deb12u1");
  expect(only(await runtimeFindings(machine.host, { ociRuntime: "runc" }), "fail")).toEqual([]);
});

test("a runtime of the newest release is ok", async () => {
  using machine = createMachine();
  machine.program("/usr/local/sbin/runc", "runc version 1.5.1");
  expect(short(await runtimeFindings(machine.host, { ociRuntime: "runc" }))).toEqual({ "runtimes.runc": "ok" });
});

test("what isn't used is told in one line, and warned of only where a sandbox could reach the host", async () => {
  using machine = createMachine();
  machine.program("/usr/local/sbin/runc", "runc version 1.5.1");
  machine.program("/usr/bin/runsc", "runsc version release-20240101.0");
  machine.program("/usr/bin/crun", "crun version 0.10.4");
  machine.program("/usr/bin/dockerd", "Docker version 29.5.1, build abc");
  machine.program("/usr/bin/containerd", "containerd github.com/containerd/containerd v2.2.1 abc");
  machine.program("/usr/bin/proot", " _____\n v5.1.0");
  const findings = await runtimeFindings(machine.host, { ociRuntime: "runc" });
  expect(findings.map(({ status, what }) => `${status} ${what}`)).toEqual([
    "ok runc 1.5.1: none of the holes in the table of fixed releases is open",
    expect.stringMatching(/^warn crun 0\.10\.4 is installed; open to CVE-2019-18837, /),
    "ok runsc release-20240101.0 is installed; lacks fixes of CVE-2025-2713",
    "ok docker 29.5.1 is installed",
    "ok containerd 2.2.1 is installed",
    "ok proot 5.1.0 is installed",
  ]);
});

test("a runtime that isn't there, or doesn't say what it is, is told", async () => {
  using machine = createMachine();
  const [missing] = await runtimeFindings(machine.host, { ociRuntime: "runc" });
  expect(missing).toMatchObject({ status: "fail", what: "the OCI runtime runc isn't installed" });
  machine.program("/opt/mine", "something 1.0");
  const [strange] = await runtimeFindings(machine.host, { ociRuntime: "/opt/mine" });
  expect(strange).toMatchObject({ status: "warn", what: expect.stringContaining("/opt/mine doesn't say") });
});

test("a provider's warnings follow its runtime when the file changes", async () => {
  using machine = createMachine();
  const warnings = createRuntimeWarnings(machine.host, "runc");
  expect(await warnings()).toEqual([]);
  machine.program("/usr/sbin/runc", "runc version 1.1.4 is what this one says");
  expect((await warnings())[0]?.what).toContain("older than its fixed release");
  machine.program("/usr/sbin/runc", "runc version 1.5.1");
  expect(await warnings()).toEqual([]);
});

test("an engine is judged by what it says of itself; a user namespace keeps its sandboxes from what it would", () => {
  const versions = { docker: "28.2.2", containerd: "1.7.29", runc: "1.2.7", api: "1.50" };
  const plain = engineFindings({ versions, remapsUsers: false });
  expect(plain.map(({ id, status }) => [id, status])).toEqual([
    ["runtimes.engine-docker-limited", "warn"],
    ["runtimes.engine-containerd", "ok"],
    ["runtimes.engine-runc-escape", "fail"],
    ["runtimes.engine-runc-limited", "warn"],
  ]);
  expect(only(plain, "fail")[0]).toMatchObject({
    what: expect.stringContaining("runc 1.2.7 of the engine is older than its fixed release: open to CVE-2025-31133, "),
    remedy: expect.stringContaining("userns-remap"),
  });
  const remapped = engineFindings({ versions, remapsUsers: true });
  expect(only(remapped, "fail")).toEqual([]);
  expect(short(remapped)["runtimes.engine-runc-kept"]).toBe("warn");
  expect(engineFindings({ versions: { docker: "29.5.1" }, remapsUsers: false }).map(({ status }) => status)).toEqual([
    "ok",
  ]);
  expect(engineFindings({ versions: {}, remapsUsers: false })).toEqual([]);
});

test("an engine of a distribution's patched builds counts as fixed where it names its packages' versions", () => {
  const of = (runc: string) =>
    JSON.stringify(engineFindings({ versions: { runc, containerd: "1.6.20~ds1-1+deb12u2" }, remapsUsers: true }));
  expect(of("1.1.5+ds1-1+deb12u1")).not.toMatch(/CVE-2024-21626|CVE-2024-25621/);
  expect(of("1.1.5+ds1")).toContain("CVE-2024-21626");
});

const unhealthy = (name: string, isolation: "container" | "none", missing: readonly string[]) => ({
  provider: {
    name,
    publicConfig: {},
    capabilities: {
      isolation,
      tags: [],
      needsImage: false,
      securityProfiles: [],
      networks: [],
      limits: { memory: true, cpu: true, pids: true, disk: true, treeKill: "cgroup" as const },
    },
  },
  fingerprint: { healthy: false, missing },
});

test("each thing that a provider misses is told with what would help, and what isn't enabled is named", () => {
  const missing = ["not root; start the server as root", "no loop devices; load them: modprobe loop"];
  const findings = wallFindings("auto", [unhealthy("oci", "container", missing)], ["oci", "docker", "mock"]);
  expect(findings.map(({ id, status, what, remedy }) => [id, status, what, remedy])).toEqual([
    ["providers.oci", "fail", "oci: not root", "start the server as root"],
    ["providers.oci-2", "fail", "oci: no loop devices", "load them: modprobe loop"],
    ["providers.default", "fail", "no wall is healthy, so no provider can be the default", expect.any(String)],
    ["providers.disabled", "ok", "not enabled, so not asked: docker, mock (providers.<name>.enabled)", undefined],
  ]);
  const [failed] = wallFindings("auto", [unhealthy("oci", "container", [])], ["oci"]);
  expect(failed?.what).toBe("oci: its check failed");
});

test("a server of an older release, which tells health alone, is understood", () => {
  const health = { latency_ms: 1, last_checked: "2026-11-24T19:38:01Z", capabilities: ["spawn"] };
  const providers = [
    { ...health, name: "docker", healthy: true, default: true },
    { ...health, name: "proot", healthy: false, default: false, error: "health check returned false" },
  ];
  expect(
    serverFindings({ url: "http://x", providers, problem: "" }).map(({ status, what }) => `${status} ${what}`),
  ).toEqual([
    "ok a server answers at http://x",
    "ok docker there: the default",
    "warn proot there isn't healthy: health check returned false",
  ]);
});
