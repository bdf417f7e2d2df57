import { expect, it } from "vitest";
import { capabilitiesOf, readFacts } from "./engine-facts.ts";

const version = { Version: "28.0.0", ApiVersion: "1.48", MinAPIVersion: "1.24" };
const info = {
  OSType: "linux",
  OperatingSystem: "Debian GNU/Linux 12",
  Driver: "overlay2",
  SecurityOptions: ["name=seccomp,profile=default", "name=cgroupns"],
  Runtimes: {
    runc: { path: "runc" },
    sandboxed: { path: "/usr/bin/runsc" },
    kata: { runtimeType: "io.containerd.kata.v2" },
  },
  MemoryLimit: true,
  CpuCfsQuota: true,
  PidsLimit: true,
};
const options = { networkMode: "none", boundsDisk: false, noEgress: "no", egress: "device" } as const;

it("offers root inside only where the engine maps users, and says how it would", () => {
  const plain = capabilitiesOf(readFacts(version, info, "runc"), options);
  expect(plain.securityProfiles).toEqual(["restricted"]);
  expect(plain.profileRemedies?.default).toContain("userns-remap");
  const mapping = { ...info, SecurityOptions: [...info.SecurityOptions, "name=userns"] };
  const remapped = capabilitiesOf(readFacts(version, mapping, "runc"), options);
  expect(remapped.securityProfiles).toEqual(["default", "restricted"]);
  expect(remapped.profileRemedies).toBeUndefined();
  expect(capabilitiesOf(readFacts(version, mapping, "sandboxed"), options).securityProfiles).toEqual(["restricted"]);
});

it("claims the least of all engines until one has answered", () => {
  expect(capabilitiesOf(undefined, options)).toMatchObject({
    isolation: "container",
    securityProfiles: ["restricted"],
    limits: { memory: false, cpu: false, pids: false, disk: false, treeKill: "best-effort" },
  });
});

it("tells the wall by the program behind a runtime's name", () => {
  const wall = (runtime: string) => capabilitiesOf(readFacts(version, info, runtime), options).isolation;
  expect(["runc", "sandboxed", "kata"].map(wall)).toEqual(["container", "kernel", "microvm"]);
});

it("offers the gateway's network where it can, and else an engine's where the operator named one", () => {
  expect(capabilitiesOf(undefined, options).networks).toEqual(["none"]);
  expect(capabilitiesOf(undefined, { ...options, networkMode: "bridge" }).networks).toEqual(["none", "bridge"]);
  const served = capabilitiesOf(undefined, { ...options, networkMode: "bridge", noEgress: undefined });
  expect([served.networks, served.noEgress, served.egressLevel]).toEqual([
    ["none", "egress"],
    undefined,
    "transparent",
  ]);
  expect(capabilitiesOf(undefined, { ...options, egress: "relay" }).egressLevel).toBe("proxy");
});

it.each([
  ["an engine that is too old", { ...version, ApiVersion: "1.40" }, info, "runc", "1.41 (Docker 20.10)"],
  ["one that is too new", { ...version, ApiVersion: "1.99", MinAPIVersion: "1.60" }, info, "runc", "upgrade"],
  ["a runtime that it doesn't have", version, info, "crun", 'add it to "runtimes"'],
  ["Kata, which no socket reaches", version, info, "kata", "virtual machine"],
  ["an engine without seccomp", version, { ...info, SecurityOptions: null }, "runc", "no seccomp"],
  ["Windows containers", version, { ...info, OSType: "windows" }, "runc", "windows"],
])("%s is missing, with what would help", (_, its, has, runtime, words) => {
  expect(readFacts(its, has, runtime).missing).toEqual([expect.stringContaining(words)]);
});

it("speaks the newest version that both know", () => {
  expect(readFacts(version, info, "runc")).toMatchObject({ api: "1.48", missing: [] });
  expect(readFacts({ ...version, ApiVersion: "1.60", MinAPIVersion: "1.44" }, info, "runc").api).toBe("1.51");
});
