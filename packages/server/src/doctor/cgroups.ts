import { type Finding, findingsOf } from "./finding.ts";
import type { Host } from "./host.ts";

const { ok, warn, fail } = findingsOf("cgroups");

/** What bounds a sandbox. */
const wanted = ["cpu", "memory", "pids"] as const;

/** Which version is mounted, with which controllers, and whether this user may make groups. */
export function cgroupFindings(host: Host, { needed }: { readonly needed: boolean }): readonly Finding[] {
  const bad = needed ? fail : warn;
  const mounts = (host.readText("/proc/self/mounts") ?? "").split("\n").map((line) => line.split(" "));
  const unified = mounts.find(([, , type]) => type === "cgroup2")?.[1];
  const legacy = mounts.filter(([, , type]) => type === "cgroup");
  if (unified === undefined && legacy.length === 0) {
    return [bad("mode", "no control groups are mounted", "mount them: mount -t cgroup2 cgroup2 /sys/fs/cgroup")];
  }
  const mode = unified === undefined ? "legacy" : legacy.length === 0 ? "unified" : "hybrid";
  const here = new Set([
    ...(unified === undefined ? [] : (host.readText(`${unified}/cgroup.controllers`) ?? "").trim().split(/\s+/)),
    ...legacy.flatMap(([, , , options = ""]) => options.split(",")),
  ]);
  const missing = wanted.filter((name) => !here.has(name));
  const root = unified ?? legacy[0]?.[1] ?? "";
  return [
    mode === "legacy"
      ? warn(
          "mode",
          "control groups are version 1 alone: a deadline finds a tree by walking it",
          "mount version 2 beside it: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
        )
      : ok("mode", `control groups are ${mode === "unified" ? "version 2" : "versions 1 and 2 side by side"}`),
    missing.length === 0
      ? ok("controllers", `${wanted.join(", ")} are bounded`)
      : bad(
          "controllers",
          `no control over ${missing.join(", ")}`,
          `enable it: kernel parameter cgroup_enable=${missing.join(",")}, or delegate it to this user`,
        ),
    host.isWritable(root)
      ? ok("writable", "groups can be made")
      : bad(
          "writable",
          `this user can't make groups below ${root}`,
          "start as root, or let systemd delegate a group: Delegate=yes",
        ),
  ];
}
