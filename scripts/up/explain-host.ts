import { readFile } from "node:fs/promises";

/** What this host lacks for a sandbox by runc, each with what would help. */
export async function explainHost(): Promise<readonly string[]> {
  const problems: string[] = [];
  const filesystems = await readFile("/proc/filesystems", "utf8").catch(() => "");
  if (!/\boverlay\b/.test(filesystems)) problems.push("the kernel has no overlay file system. Try: modprobe overlay");
  const mounts = await readFile("/proc/mounts", "utf8").catch(() => "");
  if (!/ cgroup2? /.test(mounts))
    problems.push("no cgroup hierarchy is mounted. Try: mount -t cgroup2 none /sys/fs/cgroup");
  const userNamespaces = Number(await readFile("/proc/sys/user/max_user_namespaces", "utf8").catch(() => "0"));
  if (userNamespaces === 0)
    problems.push("user namespaces are switched off. Try: sysctl user.max_user_namespaces=10000");
  return problems;
}
