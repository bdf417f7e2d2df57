import { readdir, readFile, readlink } from "node:fs/promises";
import { until } from "../../../packages/server/src/providers/contract/suite.testing.ts";
import { type Attack, type Field, isRefusal, judged } from "../attack.ts";
import { watched } from "../canary.ts";
import { neighbourAbstract, neighbourPort, neighbourSharedKey, neighbourSleep } from "../field.ts";
import { linkInPlaceOfSocket } from "./agent-socket.ts";

const namespaceTitles: Readonly<Record<string, readonly [title: string, ...scenarios: number[]]>> = {
  user: ["the host's users"],
  pid: ["the host's processes", 13],
  mnt: ["the host's mounts"],
  net: ["the host's network", 4],
  ipc: ["the host's shared memory"],
  uts: ["the host's name"],
  cgroup: ["the host's cgroups"],
};

/** Namespaces that a sandbox can be made without. */
const breakable: Readonly<Record<string, string>> = { net: "network", ipc: "ipc" };

const namespaceOf = (pid: number | "self", kind: string): Promise<string> => readlink(`/proc/${pid}/ns/${kind}`);

const listOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** Descriptors above 2 of every process of the sandbox but its first, from outside. */
const strayDescriptors = async (it: Field): Promise<string[]> => {
  const found: string[] = [];
  const first = it.pidOf(it.runtime);
  for (const pid of await it.processesOf(it.runtime)) {
    if (pid === first) continue;
    const argv = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (!argv.includes("86399")) continue;
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => []))
      if (Number(fd) > 2) found.push(`${fd} ${await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "?")}`);
  }
  return found;
};

export const boundaryAttacks: readonly Attack[] = [
  ...Object.entries(namespaceTitles).map(
    ([kind, [whose, ...scenarios]]): Attack => ({
      id: `namespace-${kind}`,
      kind: "B",
      title: `shares ${whose}, or its neighbour's`,
      tried: "namespaces of the first processes, from outside",
      control: `${kind} namespace`,
      ...(breakable[kind] === undefined ? {} : { redWithout: [breakable[kind]] }),
      ...(scenarios.length > 0 ? { scenarios } : {}),
      async attempt(it) {
        const [own, other] = [it.pidOf(it.runtime), it.pidOf(it.neighbour)];
        const named = await Promise.all([namespaceOf("self", kind), namespaceOf(own ?? "self", kind)]);
        const neighbours = await namespaceOf(other ?? "self", kind);
        return judged(named[0] === named[1] || named[1] === neighbours, `${named[1]}, the host's ${named[0]}`);
      },
    }),
  ),
  {
    id: "host-mounts",
    kind: "B",
    title: "has a directory of the host mounted",
    tried: "its mount table, and the host's paths from inside",
    control: "own root; nothing but the agent's file is shown",
    redWithout: ["host-mounts"],
    scenarios: [7],
    async attempt({ sh, canary, dataRoot }) {
      const { out } = await sh(
        `cat ${canary.file}; ls -d ${dataRoot} ${canary.path} 2>/dev/null; cat /proc/self/mountinfo`,
      );
      const found = listOf(out).filter((line) => line.includes(dataRoot) || line.includes(canary.secret));
      return judged(found.length > 0, found[0] ?? "no path of the host");
    },
  },
  {
    id: "mount-propagation",
    kind: "B",
    title: "has mounts that propagate to the host",
    tried: "shared and slave marks in its mount table",
    control: "private mounts",
    async attempt({ sh }) {
      const { out } = await sh("grep -E ' (shared|master):' /proc/self/mountinfo");
      return judged(out !== "", out || "none is shared");
    },
  },
  {
    id: "second-proc",
    kind: "B",
    title: "finds another process table than its own",
    tried: "proc mounts in its mount table",
    control: "own mount namespace; one /proc of its own pid namespace",
    async attempt({ sh }) {
      const { out } = await sh("awk '$0 ~ / - proc / && $4 == \"/\" {print $5}' /proc/self/mountinfo");
      return judged(
        listOf(out).some((path) => path !== "/proc"),
        out || "none",
      );
    },
  },
  {
    id: "writable-settings",
    kind: "B",
    title: "writes any setting below /proc and /sys",
    tried: "opens every file of /proc/sys, bus, fs, irq and /sys for writing",
    control: "read-only paths",
    redWithout: ["readonly-paths"],
    async attempt({ sh }) {
      const open = `for f; do true 2>/dev/null >>"$f" && echo "$f"; done`;
      const { out } = await sh(
        `find /proc/sys /proc/bus /proc/fs /proc/irq /sys -type f -exec sh -c '${open}' - {} + 2>/dev/null
         awk '$5 ~ "^/(proc/(sys|bus|fs|irq)|sys)$" && $6 !~ "^ro" {print $5, $6}' /proc/self/mountinfo
         awk '$5 == "/proc/sys" {found=1} END {if (!found) print "/proc/sys is no mount of its own"}' /proc/self/mountinfo`,
      );
      return judged(out !== "", out || "every one is read-only");
    },
  },
  {
    id: "masked-content",
    kind: "B",
    title: "reads what /proc and /sys tell of the host",
    tried: "reads every masked path",
    control: "masked paths",
    redWithout: ["masked-paths"],
    async attempt({ sh }) {
      const { out } = await sh(
        `for f in acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats; do
           if [ -d /proc/$f ]; then ls -A /proc/$f; elif [ -e /proc/$f ]; then head -c 64 /proc/$f; fi; done 2>/dev/null
         ls -A /sys/fs/cgroup /sys/firmware /sys/kernel /sys/devices/virtual/powercap 2>/dev/null | grep -v '^/sys.*:$' | grep .`,
      );
      return judged(out !== "", out || "all are empty");
    },
  },
  {
    id: "block-devices",
    kind: "B",
    title: "has any device beyond the standard ones",
    tried: "every node below /dev",
    control: "devices",
    redWithout: ["devices"],
    scenarios: [5],
    async attempt({ sh }) {
      const { out } = await sh("find / -xdev -type b; find /dev /run -type b -o -type c 2>/dev/null");
      const usual = /^\/dev\/(null|zero|full|random|urandom|tty|console|ptmx|pts\/(\d+|ptmx))$/;
      const odd = listOf(out).filter((path) => !usual.test(path));
      return judged(odd.length > 0, odd.join(" ") || "only the standard ones");
    },
  },
  {
    id: "inherited-descriptors",
    kind: "B",
    title: "inherits a descriptor",
    tried: "descriptors above 2 of a command, of a daemon and of a terminal, from inside and from outside",
    control: "close-on-exec in the agent",
    redWithout: ["descriptor-cloexec"],
    scenarios: [12],
    async attempt(it) {
      // The shell's own descriptor of the directory is gone by the time the list is compared.
      const listing = `for n in $(ls /proc/$$/fd); do [ $n -gt 2 ] && readlink /proc/$$/fd/$n; done; :`;
      const inside = [(await it.sh(listing)).out, (await it.sh(listing, { pty: { cols: 80, rows: 24 } })).out];
      await it.sh("setsid sleep 86399 >/dev/null 2>&1 &");
      const outside = await strayDescriptors(it);
      await it.sh("pkill -f 'sleep 86399' || killall sleep");
      const found = [...inside.flatMap((text) => listOf(text.replaceAll("\r", ""))), ...outside];
      return judged(found.length > 0, found.join(", ") || "none");
    },
  },
  {
    id: "working-directory",
    kind: "B",
    title: "starts a command in a directory that a descriptor of the agent leads to",
    tried: "working directories /proc/self/fd/N and /proc/1/fd/N, with `..` after them",
    control: "links that the kernel makes up are never followed",
    redWithout: ["kernel-links"],
    scenarios: [12],
    async attempt({ guest, canary }) {
      const said = new Set<string>();
      let reached = false;
      for (const start of ["/proc/self/fd", "/proc/1/fd", "/proc/1/root", "/proc/1/cwd"]) {
        for (let n = 3; n < 14; n++) {
          for (const up of ["", "/..", "/../../../.."]) {
            const cwd = start.endsWith("fd") ? `${start}/${n}${up}` : `${start}${up}`;
            const request = { argv: ["/bin/sh", "-c", `pwd; cat .${canary.file}`], cwd, maxOutputBytes: 4096 };
            const answer = await guest.run(request, AbortSignal.timeout(10_000)).then(
              ({ stdout, exitCode }) => `exit ${exitCode} ${new TextDecoder().decode(stdout)}`,
              (error) => String(error.reason ?? error),
            );
            said.add(answer.split("\n")[0] ?? "");
            if (answer.includes("canary-") || /^exit \d+ \//.test(answer)) reached = true;
          }
        }
      }
      return judged(reached, [...said].join(", "));
    },
  },
  {
    id: "interpreter-descriptor",
    kind: "B",
    title: "names a file of the host as a script's interpreter, by a descriptor of the agent",
    tried: "`#!/proc/self/fd/N/../../…` for every N, which the kernel resolves before close-on-exec acts",
    control: "descriptors of the agent lead nowhere: the cgroup's is a detached clone",
    scenarios: [12],
    async attempt({ sh }) {
      const { out, err } = await sh(
        `for n in $(seq 3 20); do for up in /.. /../.. /../../../../..; do
           printf '#!/proc/self/fd/%s%s/bin/busybox echo\\nreached\\n' $n $up > /tmp/script; chmod 755 /tmp/script; /tmp/script
           printf '#!/proc/self/fd/%s%s/usr/bin/env echo\\nreached\\n' $n $up > /tmp/script; /tmp/script; done; done; rm /tmp/script`,
      );
      return judged(out !== "", out || err.split("\n")[0] || "nothing ran");
    },
  },
  {
    id: "runtime-overwrite",
    kind: "B",
    title: "overwrites the runtime or the agent on the host",
    tried: "a script whose interpreter is /proc/self/exe, and writing every /proc/*/exe and the agent's path",
    control: "the agent is pid 1 and read-only; nothing of the host is ever executed into the sandbox",
    scenarios: [11],
    async attempt({ sh, programs }) {
      const changes = await watched(Object.values(programs));
      const { out } = await sh(
        `printf '#!/proc/self/exe\\n' > /tmp/self; chmod 755 /tmp/self; /tmp/self >/dev/null 2>&1
         for f in /proc/[0-9]*/exe /dev/.stacyvm-agent; do
           case "$(readlink $f)" in */sh|*/busybox|*/dash|*/bash) continue;; esac
           [ -e $f ] && (printf x >> $f) 2>/dev/null && echo wrote $f; done; rm -f /tmp/self`,
      );
      const changed = await changes();
      return judged(changed.length > 0 || out !== "", [...changed, out].join(" ").trim() || "nothing was written");
    },
  },
  {
    id: "dirty-pipe",
    kind: "B",
    title: "overwrites a file of the shared image through a pipe",
    tried: "CVE-2022-0847 against a file of the image",
    control: "a kernel that has the fix",
    scenarios: [17],
    async attempt({ probe }) {
      const said = await probe(["pipe", "/bin/busybox"]);
      return judged(!isRefusal(said), said === "EROFS" ? "not overwritten" : said);
    },
  },
  {
    id: "dirty-cow",
    kind: "B",
    title: "overwrites a file of the shared image by a race",
    tried: "CVE-2016-5195 against a file of the image, for 200 ms",
    control: "a kernel that has the fix",
    scenarios: [16],
    async attempt({ probe }) {
      const said = await probe(["race", "/bin/busybox"]);
      return judged(!isRefusal(said), said === "EROFS" ? "not overwritten" : said);
    },
  },
  {
    id: "shared-image",
    kind: "B",
    title: "changes the image that other sandboxes stand on",
    tried: "writes, chmod, unlink and rename in its own root; the tree on the host compared",
    control: "the image is a read-only lower layer",
    async attempt({ sh, image, neighbour }) {
      if (image === undefined) throw new Error("has no image");
      const changes = await watched([`${image.rootfsPath}/etc/passwd`, `${image.rootfsPath}/etc`, image.rootfsPath]);
      await sh(
        "echo changed >> /etc/passwd; chmod 777 /etc; touch /new; mv /etc/passwd /etc/moved; mv /etc/moved /etc/passwd",
      );
      const changed = await changes();
      const { out } = await sh("grep -c changed /etc/passwd", {}, neighbour.guest);
      await sh("chmod 755 /etc; rm -f /new");
      return judged(changed.length > 0 || out.trim() !== "0", changed.join(" ") || "the tree is as it was");
    },
  },
  {
    id: "neighbour-processes",
    kind: "B",
    title: "sees or signals its neighbour's processes",
    tried: "ps, and signals to the neighbour's pids as the host and as the neighbour number them",
    control: "own pid namespace",
    async attempt({ sh, processesOf, neighbour }) {
      const theirs = (await processesOf(neighbour)).filter((pid) => pid !== 1);
      const before = theirs.length;
      const { out } = await sh(
        `(ps -o args 2>/dev/null || ps ax -o args) | grep -E 'sleep ${neighbourSleep}|speak|NEIGHBOUR' | grep -v grep
         for pid in ${theirs.join(" ")}; do [ -d /proc/$pid ] || kill -9 $pid 2>/dev/null && [ ! -d /proc/$pid ] && echo signalled $pid; done; :`,
      );
      const after = (await processesOf(neighbour)).length;
      const shown = listOf(out);
      return judged(shown.length > 0 || after < before, shown[0] ?? `${before} processes there, before and after`);
    },
  },
  {
    id: "kill-agent",
    kind: "B",
    title: "ends its agent and lives on without it",
    tried:
      "SIGKILL, SIGSTOP and SIGSEGV to pid 1 beside daemons; what answers and what lives is looked at from outside",
    control: "first process of its pid namespace: the kernel ends the others with it",
    async attempt({ sh, withSandbox, processesOf }) {
      const [said] = await withSandbox({}, async (one) => {
        await sh("setsid sleep 86398 & kill -9 1; kill -STOP 1; kill -SEGV 1", {}, one.guest).catch(() => {});
        const startedMs = performance.now();
        const answer = await sh("echo still here", { timeoutMs: 5000 }, one.guest).then(({ out }) => out, String);
        const left = await until(
          () => processesOf(one),
          (pids) => pids.length === 0,
          answer.includes("still") ? 0 : 5000,
        );
        const hung = performance.now() - startedMs > 15_000;
        return { answer: answer.trim(), left: left.length, hung };
      });
      const alive = said.answer === "still here";
      return judged(
        said.hung || (!alive && said.left > 0),
        alive ? said.answer : `its end is the sandbox's: ${said.left} left`,
      );
    },
  },
  {
    id: "neighbour-shared-memory",
    kind: "B",
    title: "reads shared memory of the host or its neighbour",
    tried: "System V segments by their keys, /dev/shm, and what /proc/sysvipc lists",
    control: "own ipc namespace",
    redWithout: ["ipc"],
    async attempt({ probe, sh, host }) {
      const answers = [await probe(["shared", `${host.sharedKey}`]), await probe(["shared", `${neighbourSharedKey}`])];
      const { out } = await sh(
        "ls -A /dev/shm /dev/mqueue 2>/dev/null | grep -v : | grep .; tail -n +2 /proc/sysvipc/shm",
      );
      return judged(answers.some((answer) => !isRefusal(answer)) || out !== "", `${answers.join(", ")}; ${out}`);
    },
  },
  {
    id: "neighbour-sockets",
    kind: "B",
    title: "connects to its neighbour's loopback and abstract sockets",
    tried: "the port and the name that the neighbour listens on",
    control: "own network namespace",
    redWithout: ["network"],
    async attempt({ probe }) {
      const answers = [
        await probe(["dial", "tcp", `127.0.0.1:${neighbourPort}`]),
        await probe(["dial", "unix", `@${neighbourAbstract}`]),
      ];
      return judged(
        answers.some((answer) => !isRefusal(answer)),
        answers.join(", "),
      );
    },
  },
  {
    id: "neighbour-files",
    kind: "B",
    title: "reads its neighbour's files",
    tried: "/tmp/secret and /dev/shm/secret, which the neighbour wrote",
    control: "a disk and memory file systems of its own",
    async attempt({ sh }) {
      const { out, err } = await sh("cat /tmp/secret /dev/shm/secret");
      return judged(out !== "", out || err);
    },
  },
  {
    id: "terminal-input",
    kind: "B",
    title: "pushes input into the terminal that it was given",
    tried: "TIOCSTI on a terminal of its own session",
    control: "seccomp",
    redWithout: ["seccomp"],
    async attempt({ probe }) {
      const said = await probe(["call", "push into a terminal"], { pty: { cols: 80, rows: 24 } });
      return judged(!/^(EPERM|EIO)$/.test(said.trim()), said);
    },
  },
  {
    id: "agent-socket-link",
    kind: "B",
    title: "puts a link to a host's socket in the place of its agent's",
    tried: "inside, every socket that the agent made; outside, a link put there as a sandbox would",
    control: "the helper listens; where it can't, the socket is found without following links",
    redWithout: ["socket-check"],
    attempt: linkInPlaceOfSocket,
  },
];
