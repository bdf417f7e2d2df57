import { readFile } from "node:fs/promises";
import { type Attack, judged } from "../attack.ts";

const hostSettings = [
  "/proc/sys/kernel/core_pattern",
  "/proc/sys/kernel/modprobe",
  "/proc/sys/kernel/hostname",
  "/proc/sys/kernel/panic",
  "/proc/sys/kernel/yama/ptrace_scope",
  "/proc/sys/net/ipv4/ip_forward",
  "/proc/sys/net/ipv4/conf/all/route_localnet",
  "/proc/sys/vm/overcommit_memory",
  "/proc/sys/user/max_user_namespaces",
  "/proc/sys/fs/file-max",
  "/sys/kernel/uevent_helper",
];

export const settingAttacks: readonly Attack[] = [
  {
    id: "host-settings",
    kind: "B",
    title: "changes a setting of the host",
    tried: "writes another value into each of the settings that escapes begin with; the host's values compared",
    control: "read-only paths; namespaces; not root on the host",
    scenarios: [3],
    async attempt({ sh }) {
      const look = () => Promise.all(hostSettings.map((path) => readFile(path, "utf8").catch(() => "absent")));
      const before = await look();
      const { out } = await sh(
        `for f in ${hostSettings.join(" ")}; do (echo 7 > $f) 2>/dev/null && echo wrote $f; done; :`,
      );
      const after = await look();
      const changed = hostSettings.filter((_, at) => before[at] !== after[at]);
      return judged(
        changed.length > 0,
        changed.join(" ") || `none of ${before.length} changed${out && "; inside, values of its own did"}`,
      );
    },
  },
];
