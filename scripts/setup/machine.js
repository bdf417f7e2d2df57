// Plain JavaScript that Node 20 can start.
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { outputOf } from "./run.js";

/** @param {string} path */
const readText = (path) => (existsSync(path) ? readFileSync(path, "utf8") : "");

/** @param {string} name */
const knowsFilesystem = (name) =>
  readText("/proc/filesystems")
    .split("\n")
    .some((line) => line.endsWith(`\t${name}`)) || outputOf("modinfo", ["-n", name]) !== undefined;

/** @param {string} path */
const isWritable = (path) => {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * What this machine lacks for a sandbox of namespaces, which root makes: found, and what would help. Empty when nothing is
 * missing, or nothing of it is needed.
 * @returns {readonly { found: string, help: string }[]}
 */
export const missingForSandboxes = () => {
  // PRoot needs none of the rest; where it lacks something, the server says so.
  if (process.platform === "linux" && process.getuid?.() !== 0) return [];
  const cgroups = readText("/proc/self/mounts");
  const checks = [
    [process.platform === "linux", `${process.platform}`, "Linux: sandboxes are made by its kernel"],
    [
      readText("/proc/sys/user/max_user_namespaces").trim() !== "0" && existsSync("/proc/self/ns/user"),
      "no user namespaces",
      "a kernel with user namespaces, and sysctl user.max_user_namespaces above 0",
    ],
    [
      outputOf("unshare", ["--user", "--mount", "--", "true"]) !== undefined,
      "a user namespace can't be made here (a container, or a security policy, forbids it)",
      "a virtual or real machine, or a container started with --privileged",
    ],
    [
      / cgroup2? /.test(cgroups),
      "no control groups are mounted",
      "mount them: systemd does, or mount -t cgroup2 none /sys/fs/cgroup",
    ],
    [
      !/ cgroup2? /.test(cgroups) || isWritable("/sys/fs/cgroup"),
      "control groups are read-only",
      "a machine or container where root may write /sys/fs/cgroup",
    ],
    [knowsFilesystem("overlay"), "no overlay file system", "a kernel with overlayfs (modprobe overlay)"],
    [existsSync("/dev/loop-control"), "no loop devices", "modprobe loop; the sandboxes' disks are files"],
  ];
  return checks.filter(([fine]) => !fine).map(([, found, help]) => ({ found: String(found), help: String(help) }));
};
