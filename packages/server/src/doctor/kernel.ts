import { compareDebianVersions } from "../releases/debian-version.ts";
import type { Mitigation } from "../releases/fixed-releases.ts";
import { openAdvisories } from "../releases/judge.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { holeFindings } from "./holes.ts";
import type { Host } from "./host.ts";

const { ok, warn, fail, unknown } = findingsOf("kernel");

/** An overlay may stand on a mount whose owners are mapped from this release on. */
const idmappedOverlaySince = "5.19";

export interface KernelNeeds {
  /** The provider that makes mounts is enabled. */
  readonly needsMounts: boolean;
  /** Every enabled wall has our filter of system calls. */
  readonly filtersCalls?: boolean;
}

/** What sandboxes ask of the kernel, and whether it has it. */
export function kernelFindings(host: Host, { needsMounts, filtersCalls = true }: KernelNeeds): readonly Finding[] {
  const release = (host.readText("/proc/sys/kernel/osrelease") ?? "").trim();
  const needed = needsMounts ? fail : warn;
  return [
    ok("version", `Linux ${release || "of unknown release"}`),
    ...holes(host, release, filtersCalls ? ["seccomp"] : []),
    userNamespaces(host),
    seccomp(host),
    ...["overlay", "ext4"].map((name) =>
      knowsFilesystem(host, name, release)
        ? ok(name, `${name} file systems can be mounted`)
        : needed(name, `the kernel knows no ${name} file system`, `load it: modprobe ${name}`),
    ),
    host.exists("/dev/loop-control")
      ? ok("loop", "loop devices can be made")
      : needed("loop", "there are no loop devices, which are the sandboxes' disks", "load them: modprobe loop"),
    compareDebianVersions(release.replace(/-.*/, ""), idmappedOverlaySince) >= 0
      ? ok("idmapped-mounts", "owners of a mount can be mapped, below an overlay too")
      : needed(
          "idmapped-mounts",
          "an overlay can't stand on a mount with mapped owners",
          `use Linux ${idmappedOverlaySince} or newer`,
        ),
    kvm(host),
  ];
}

function holes(host: Host, release: string, mitigations: readonly Mitigation[]): readonly Finding[] {
  const built = host.readText("/proc/sys/kernel/version") ?? "";
  // Debian's kernels are upstream's stable releases, whose number stands in the build's name.
  const version = /Debian (\d+\.\d+\.\d+)/.exec(built)?.[1] ?? /^\d+\.\d+\.\d+/.exec(release)?.[0];
  const isOthers = /-(generic|aws|azure|gcp|oracle|kvm|lowlatency)$|\.el\d|\.fc\d|\.amzn\d/.test(release);
  if (version === undefined || isOthers) {
    const what =
      "this distribution's kernel carries fixes of its own, so its release doesn't tell which holes are open";
    return [unknown("holes", what, "keep it up to date: its own advisories count")];
  }
  const open = openAdvisories({ component: "linux", version });
  if (open.length === 0) return [ok("holes", "none of the holes in the table of fixed releases is open")];
  return holeFindings({
    area: "kernel",
    subject: `Linux ${version}`,
    open,
    mitigations,
    remedy: "update the kernel and restart the machine",
  });
}

function userNamespaces(host: Host): Finding {
  const most = host.readText("/proc/sys/user/max_user_namespaces")?.trim();
  if (most === undefined || !host.exists("/proc/self/ns/user")) {
    return fail("user-namespaces", "the kernel has no user namespaces", "use one that has: CONFIG_USER_NS");
  }
  if (most === "0")
    return fail("user-namespaces", "user namespaces are off", "allow them: sysctl user.max_user_namespaces=65536");
  const closed = [
    ["/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"],
    [
      "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
      "1",
      "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ],
  ].find(([path = "", off]) => host.readText(path)?.trim() === off);
  if (closed !== undefined && host.uid !== 0) {
    return warn(
      "user-namespaces",
      "only root may make user namespaces here",
      `allow it to others: ${closed[2]}, or start as root`,
    );
  }
  return ok("user-namespaces", `user namespaces can be made (${most} at most)`);
}

const seccomp = (host: Host): Finding =>
  (host.readText("/proc/sys/kernel/seccomp/actions_avail") ?? "").includes("errno")
    ? ok("seccomp", "system calls can be filtered")
    : fail("seccomp", "the kernel can't filter system calls", "use one that can: CONFIG_SECCOMP_FILTER");

const knowsFilesystem = (host: Host, name: string, release: string): boolean =>
  (host.readText("/proc/filesystems") ?? "").split("\n").some((line) => line.endsWith(`\t${name}`)) ||
  (host.readText(`/lib/modules/${release}/modules.dep`) ?? "").includes(`/${name}.ko`);

function kvm(host: Host): Finding {
  if (!host.exists("/dev/kvm")) return ok("kvm", "no /dev/kvm: microVMs can't run here; nothing else needs it");
  return host.isWritable("/dev/kvm")
    ? ok("kvm", "/dev/kvm can be used")
    : warn("kvm", "/dev/kvm is there, but not for this user", "let the user into its group: usermod -aG kvm <user>");
}
