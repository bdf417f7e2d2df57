import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createHost, type Host } from "./host.ts";

/** A machine of files below a directory: what the kernel tells, and programs that print what they are made to. */
export interface Machine extends Disposable {
  readonly host: Host;
  file(path: string, text: string): void;
  /** A program that prints this whatever it is asked, or what stands for the beginning of its arguments. */
  program(path: string, printed: string | Readonly<Record<string, string>>): void;
}

export function createMachine(uid = 0): Machine {
  const root = mkdtempSync(join(tmpdir(), "stacyvm-machine-"));
  const file = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  return {
    host: createHost({ root, uid }),
    file,
    program: (path, printed) => {
      const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
      const cases =
        typeof printed === "string"
          ? `printf '%s\\n' ${quoted(printed)}`
          : `case "$*" in\n${Object.entries(printed)
              .map(([args, text]) => `${quoted(args)}*) printf '%s\\n' ${quoted(text)};;`)
              .join("\n")}\n*) exit 1;;\nesac`;
      file(path, `#!/bin/sh\n${cases}\n`);
      chmodSync(join(root, path), 0o755);
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** What every machine has that can run sandboxes. */
export function goodKernel(machine: Machine): void {
  machine.file("/proc/sys/kernel/osrelease", "6.18.44\n");
  machine.file("/proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC\n");
  machine.file("/proc/sys/user/max_user_namespaces", "96365\n");
  machine.file("/proc/self/ns/user", "");
  machine.file(
    "/proc/sys/kernel/seccomp/actions_avail",
    "kill_process kill_thread trap errno user_notif trace log allow\n",
  );
  machine.file("/proc/filesystems", "nodev\tproc\nnodev\toverlay\n\text4\n");
  machine.file("/dev/loop-control", "");
}
