import { expect, it } from "vitest";
import type { SecurityProfile } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { runtimeSpec } from "./runtime-spec.ts";

const spec = (security: SecurityProfile, hasCgroupDirectory = true) => {
  const sandbox = sandboxSpec({ id: "sb-0123456789abcdef", vcpus: 0.5, pidsMax: 100, security });
  return runtimeSpec({ sandbox, kind: "container", architecture: "x64", openFilesMax: 1024, hasCgroupDirectory });
};

it("gives the default profile eight capabilities and the restricted one none and user 1000", () => {
  expect(spec("default").process.capabilities.bounding).toHaveLength(8);
  expect(spec("default").process.user).toEqual({ uid: 0, gid: 0 });
  const { capabilities, user } = spec("restricted").process;
  expect(Object.values(capabilities).flat()).toEqual([]);
  expect(user).toEqual({ uid: 1000, gid: 1000 });
});

it("leaves root, users and cgroup path to the host program", () => {
  expect(spec("default")).not.toHaveProperty("root");
  expect(spec("default")).not.toHaveProperty("hooks");
  for (const name of ["uidMappings", "gidMappings", "cgroupsPath"]) {
    expect(spec("default").linux).not.toHaveProperty(name);
  }
});

it("has namespaces of its own, no new privileges, no swap and bounded processes", () => {
  const { linux, process: first } = spec("default");
  expect(linux.namespaces.map((one) => one.type).sort()).toEqual(
    ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"].sort(),
  );
  expect(first.noNewPrivileges).toBe(true);
  expect(linux.resources).toMatchObject({
    memory: { limit: 256 << 20, swap: 256 << 20 },
    cpu: { quota: 50_000, period: 100_000 },
    pids: { limit: 100 },
  });
});

it("mounts nothing of the host but the agent, and that read-only", () => {
  const fromHost = spec("default").mounts.filter((mount) => mount.source.startsWith("/") || mount.type === "bind");
  expect(fromHost).toEqual([expect.objectContaining({ source: "@agent" })]);
  expect(fromHost[0]?.options).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
});

it("tells the agent of an egress door only where the sandbox has one, as the descriptor after the others", () => {
  const sandbox = sandboxSpec({ id: "sb-0123456789abcdef", network: "egress" });
  const args = (hasCgroupDirectory: boolean) =>
    runtimeSpec({ sandbox, kind: "container", architecture: "x64", openFilesMax: 1024, hasCgroupDirectory }).process
      .args;
  expect(args(true).join(" ")).toContain("--cgroup-fd 4 --egress-fd 5");
  expect(args(false).join(" ")).toContain("--listen-fd 3 --egress-fd 4");
  expect(spec("default").process.args).not.toContain("--egress-fd");
});

it("tells the agent of a cgroup directory only where there is one", () => {
  expect(spec("default").process.args).toContain("--cgroup-fd");
  expect(spec("default", false).process.args).not.toContain("--cgroup-fd");
});
