/** A rule of an OCI seccomp profile. */
export interface SyscallRule {
  readonly names: readonly string[];
  readonly action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";
  readonly errnoRet?: number;
  readonly args?: readonly {
    readonly index: number;
    readonly value: number;
    readonly valueTwo?: number;
    readonly op: "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ";
  }[];
}

export interface SeccompProfile {
  readonly defaultAction: "SCMP_ACT_ERRNO";
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SyscallRule[];
}

const EPERM = 1;
const ENOSYS = 38;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. (CLONE_NEWTIME is a signal number to clone.) */
const namespaceFlags = 0x7e020000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
/** Unix, IPv4, IPv6, netlink. */
const socketFamilies = [1, 2, 10, 16];

const files = `access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
  fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock
  fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioprio_get ioprio_set lchown lgetxattr link linkat
  listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at
  newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat
  readv removexattr removexattrat rename renameat renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx
  symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write
  writev`;

const memory = `brk cachestat get_mempolicy madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock
  mlock2 mlockall mmap mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
  process_madvise process_mrelease remap_file_pages`;

const processes = `arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait
  futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid
  getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid kill landlock_add_rule
  landlock_create_ruleset landlock_restrict_self pause pidfd_open pidfd_send_signal prctl prlimit64 process_vm_readv
  process_vm_writev ptrace restart_syscall rseq
  sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
  sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
  set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid
  setresgid setresuid setreuid setrlimit setsid setuid sysinfo tgkill times tkill uname vfork wait4 waitid`;

const signals = `rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_tgsigqueueinfo sigaltstack signalfd signalfd4`;

const time = `alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time
  timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime`;

/** With pselect6 by the name that runsc has for it as well: other runtimes pass over a name that they don't know. */
const communication = `accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait
  epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 getpeername getrandom getsockname getsockopt io_cancel
  io_destroy io_getevents io_pgetevents io_setup io_submit listen mq_getsetattr mq_notify mq_open mq_timedreceive
  mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 poll ppoll pselect pselect6 recvfrom recvmmsg recvmsg select
  semctl semget semop semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketpair`;

const words = (text: string): string[] => text.trim().split(/\s+/);

/**
 * Conditions under which the low 32 bits of an argument are none of the values: each names a prefix of bits that no
 * value has. A plain "not equal" compares 64 bits, while the kernel looks at 32, so that a set high bit would pass it.
 */
export const allExcept = (values: readonly number[]): { readonly mask: number; readonly value: number }[] => {
  const found: { mask: number; value: number }[] = [];
  const descend = (bit: number, mask: number, value: number, left: readonly number[]): void => {
    if (left.length === 0) {
      found.push({ mask: mask >>> 0, value: value >>> 0 });
    } else if (bit >= 0) {
      const one = (1 << bit) >>> 0;
      descend(
        bit - 1,
        mask | one,
        value | one,
        left.filter((v) => (v & one) !== 0),
      );
      descend(
        bit - 1,
        mask | one,
        value,
        left.filter((v) => (v & one) === 0),
      );
    }
  };
  descend(31, 0, 0, values);
  return found;
};

const allowExcept = (name: string, index: number, values: readonly number[]): SyscallRule[] =>
  allExcept(values).map(({ mask, value }) => ({
    names: [name],
    action: "SCMP_ACT_ALLOW",
    args: [{ index, value: mask, valueTwo: value, op: "SCMP_CMP_MASKED_EQ" }],
  }));

/**
 * What unprivileged Linux programs need, and nothing that administers a machine. Left out on purpose, so refused:
 * mount and the new mount calls, setns, unshare, chroot, pivot_root, bpf, perf_event_open, userfaultfd, io_uring,
 * keyrings, kexec, modules, reboot, swap, setting clocks, open_by_handle_at, kcmp and pidfd_getfd.
 * ptrace is in, because debuggers need it and it reaches nobody else: other sandboxes are in other pid and user
 * namespaces, the agent is not dumpable, and CAP_SYS_PTRACE is in no profile.
 * clone3 hides its flags behind a pointer; it is in because the agent starts commands in their cgroups with it. What it
 * could do beyond clone, making user namespaces, the host program forbids by the namespace's own limit.
 * Where nothing forbids that, clone3 is said to be missing, and C libraries use clone.
 * One architecture only: 32-bit and x32 calls kill the process that makes them.
 */
export const seccompProfile = (
  architecture: "x64" | "arm64",
  clone3: "allowed" | "missing" = "allowed",
): SeccompProfile => ({
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: EPERM,
  architectures: [architecture === "x64" ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64"],
  syscalls: [
    {
      names: [files, memory, processes, signals, time, communication].flatMap(words),
      action: "SCMP_ACT_ALLOW",
    },
    clone3 === "allowed"
      ? { names: ["clone3"], action: "SCMP_ACT_ALLOW" }
      : { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
    {
      names: ["clone"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: namespaceFlags, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
    },
    // Pushing characters into a terminal.
    ...allowExcept("ioctl", 1, [TIOCSTI, TIOCLINUX]),
    // A list of what is in: the rest lead to hypervisors, to buses or into little used parts of the kernel.
    ...socketFamilies.map(
      (family): SyscallRule => ({
        names: ["socket"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: family, op: "SCMP_CMP_EQ" }],
      }),
    ),
    ...[0x0, 0x8, 0x20000, 0x20008, 0xffffffff].map(
      (persona): SyscallRule => ({
        names: ["personality"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: persona, op: "SCMP_CMP_EQ" }],
      }),
    ),
  ],
});
