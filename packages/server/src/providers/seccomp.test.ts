import fc from "fast-check";
import { expect, it } from "vitest";
import { allExcept, seccompProfile } from "./seccomp.ts";

const word = fc.integer({ min: 0, max: 0xffffffff });

it("lets every 32-bit value pass but those named, whatever the high bits say", () => {
  fc.assert(
    fc.property(fc.uniqueArray(word, { minLength: 1, maxLength: 4 }), word, (denied, other) => {
      const rules = allExcept(denied);
      const passes = (value: number) => rules.some((rule) => (value & rule.mask) >>> 0 === rule.value);
      for (const value of denied) expect(passes(value)).toBe(false);
      expect(passes(other)).toBe(!denied.includes(other));
    }),
  );
});

it("names none of the calls that administer a machine", () => {
  const allowed = new Set(seccompProfile("x64").syscalls.flatMap((rule) => rule.names));
  const administration = `acct add_key bpf chroot clock_settime create_module delete_module finit_module fsconfig fsmount
    fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load
    keyctl lookup_dcookie mount mount_setattr move_mount move_pages open_by_handle_at open_tree perf_event_open
    pidfd_getfd pivot_root quotactl reboot request_key setdomainname sethostname setns settimeofday swapoff swapon syslog
    umount2 unshare userfaultfd vhangup`;
  for (const name of administration.split(/\s+/)) expect(allowed.has(name), name).toBe(false);
});
