/** What runs or holds sandboxes, and has advisories of its own. */
export type Component = "runc" | "crun" | "runsc" | "docker" | "containerd" | "linux";

/** What of the way a sandbox is made keeps an attacker from the hole, where that is so. */
export type Mitigation = "user-namespace" | "seccomp";

/** A distribution's own build that has the fix although its upstream release hasn't. */
export interface Backport {
  /** Counts for versions that begin as this one does up to its last number, and whose last number is no smaller. */
  readonly version: string;
  readonly source: string;
}

export interface Advisory {
  /** A CVE. */
  readonly id: string;
  readonly component: Component;
  readonly title: string;
  /** `escape`: a sandbox reaches the host. `limited`: needs something that a sandbox of this server hasn't, or gives little. */
  readonly consequence: "escape" | "limited";
  /** Upstream releases with the fix, one for each branch that got it. */
  readonly fixed: readonly string[];
  /** The first upstream release that has the hole; every earlier one hasn't. */
  readonly introduced?: string;
  readonly backports?: readonly Backport[];
  readonly mitigatedBy?: Mitigation;
  /** Where all this is said. */
  readonly source: string;
}

const runc = (id: string): string => `https://github.com/opencontainers/runc/security/advisories/${id}`;
const moby = (id: string): string => `https://github.com/moby/moby/security/advisories/${id}`;
const cve = (id: string): string => `https://www.cve.org/CVERecord?id=${id}`;

/**
 * Releases below which something is known to be open. Not every advisory there is: those by which a sandbox could reach the
 * host, and those that an operator would ask about. A distribution's builds are listed only where they add to the upstream rule.
 */
export const advisories: readonly Advisory[] = [
  {
    id: "CVE-2019-5736",
    component: "runc",
    title: "a container overwrites the runtime's program",
    consequence: "escape",
    fixed: ["1.0.0-rc7"],
    backports: [{ version: "1.0.0~rc6+dfsg1-2", source: "https://security-tracker.debian.org/tracker/CVE-2019-5736" }],
    source: cve("CVE-2019-5736"),
  },
  {
    id: "CVE-2021-30465",
    component: "runc",
    title: "a symlink exchanged during a mount leads it to the host",
    consequence: "limited",
    fixed: ["1.0.0-rc95"],
    backports: [{ version: "1.0.0~rc93+ds1-5", source: "https://security-tracker.debian.org/tracker/CVE-2021-30465" }],
    source: runc("GHSA-c3xm-pvg7-gh7r"),
  },
  {
    id: "CVE-2023-27561",
    component: "runc",
    title: "volumes that lead /proc elsewhere (CVE-2019-19921 again)",
    consequence: "limited",
    introduced: "1.0.0-rc95",
    fixed: ["1.1.5"],
    source: "https://github.com/advisories/GHSA-vpvm-3wq2-2wvm",
  },
  {
    id: "CVE-2024-21626",
    component: "runc",
    title: "a leaked descriptor leads a container's working directory to the host",
    consequence: "escape",
    introduced: "1.0.0-rc93",
    fixed: ["1.1.12"],
    backports: [
      { version: "1.1.5+ds1-1+deb12u1", source: "https://www.debian.org/security/2024/dsa-5615 (DSA-5615-1)" },
      { version: "1.0.0~rc93+ds1-5+deb11u3", source: "https://www.debian.org/security/2024/dsa-5615 (DSA-5615-1)" },
      { version: "1.1.7-0ubuntu2.2", source: "https://ubuntu.com/security/notices/USN-6619-1" },
      { version: "1.1.7-0ubuntu1~22.04.2", source: "https://ubuntu.com/security/notices/USN-6619-1" },
      { version: "1.1.7-0ubuntu1~20.04.2", source: "https://ubuntu.com/security/notices/USN-6619-1" },
      { version: "1.1.4-0ubuntu1~18.04.2+esm1", source: "https://ubuntu.com/security/notices/USN-6619-1" },
    ],
    source: runc("GHSA-xr7r-f8xq-vfvv"),
  },
  {
    id: "CVE-2024-45310",
    component: "runc",
    title: "empty files and directories can be made on the host",
    consequence: "limited",
    fixed: ["1.1.14", "1.2.0-rc.3"],
    source: runc("GHSA-jfvp-7x6p-h2pv"),
  },
  ...(
    [
      [
        "CVE-2025-31133",
        "GHSA-9493-h29p-rfm2",
        "a masked path's mount leads to a file of /proc that isn't the container's",
      ],
      ["CVE-2025-52565", "GHSA-qw9x-cqr3-wc7r", "the mount of /dev/console leads to a file of /proc"],
      ["CVE-2025-52881", "GHSA-cgrx-mc8f-2prm", "writes to /proc are led to other files of /proc"],
    ] as const
  ).map(
    ([id, advisory, title]): Advisory => ({
      id,
      component: "runc",
      title,
      consequence: "escape",
      fixed: ["1.2.8", "1.3.3", "1.4.0-rc.3"],
      // The advisories name a user namespace without the host's root as what blocks the escape.
      mitigatedBy: "user-namespace",
      source: runc(advisory),
    }),
  ),
  {
    id: "CVE-2026-41579",
    component: "runc",
    title: "an image whose /dev is a symlink writes a little to the host",
    consequence: "limited",
    fixed: ["1.3.6", "1.4.3", "1.5.0-rc.3"],
    source: "https://github.com/opencontainers/runc/releases/tag/v1.5.0-rc.3",
  },
  {
    id: "CVE-2019-18837",
    component: "crun",
    title: "a crafted image reaches files outside of the container",
    consequence: "escape",
    fixed: ["0.10.5"],
    source: "https://github.com/advisories/GHSA-992m-xc3g-r7rj",
  },
  {
    id: "CVE-2022-27650",
    component: "crun",
    title: "capabilities are inheritable",
    consequence: "limited",
    fixed: ["1.4.4"],
    source: "https://github.com/containers/crun/pull/894",
  },
  {
    id: "CVE-2026-88264",
    component: "crun",
    title: "an image's /dev/console makes a file on the host, where /dev isn't a mount of its own",
    consequence: "limited",
    fixed: ["1.30"],
    source: "https://github.com/containers/crun/releases/tag/1.30",
  },
  {
    id: "CVE-2026-88265",
    component: "crun",
    title: "an image's /dev/null opens a file of the host, where /dev isn't a mount of its own",
    consequence: "limited",
    fixed: ["1.30"],
    source: "https://github.com/containers/crun/releases/tag/1.30",
  },
  {
    id: "CVE-2025-2713",
    component: "runsc",
    title: "an unprivileged user of the host reads other users' files through it",
    consequence: "limited",
    fixed: ["20250319.0"],
    source: cve("CVE-2025-2713"),
  },
  {
    id: "CVE-2024-41110",
    component: "docker",
    title: "authorization plugins are bypassed; nothing without them",
    consequence: "limited",
    fixed: ["23.0.15", "25.0.6", "26.1.5", "27.1.1"],
    backports: [
      { version: "20.10.24+dfsg1-1+deb12u1", source: "https://security-tracker.debian.org/tracker/CVE-2024-41110" },
    ],
    source: moby("GHSA-v23v-6jw2-98fq"),
  },
  {
    id: "CVE-2026-34040",
    component: "docker",
    title: "authorization plugins are bypassed by long requests; nothing without them",
    consequence: "limited",
    fixed: ["29.3.1"],
    source: moby("GHSA-x744-4wpc-v9h2"),
  },
  {
    id: "CVE-2026-41567",
    component: "docker",
    title: "copying an archive into a container may run the container's program on the host",
    consequence: "limited",
    fixed: ["29.5.1"],
    source: moby("GHSA-x86f-5xw2-fm2r"),
  },
  {
    id: "CVE-2026-42306",
    component: "docker",
    title: "copying from or into a running container may mount over the host's files",
    consequence: "limited",
    fixed: ["29.5.1"],
    source: moby("GHSA-rg2x-37c3-w2rh"),
  },
  {
    id: "CVE-2020-15257",
    component: "containerd",
    title: "containers in the host's network reach its abstract socket",
    consequence: "limited",
    fixed: ["1.3.9", "1.4.3"],
    source: "https://github.com/containerd/containerd/security/advisories/GHSA-36xw-fx78-c5r4",
  },
  {
    id: "CVE-2024-25621",
    component: "containerd",
    title: "other users of the host may enter its directories",
    consequence: "limited",
    fixed: ["1.7.29", "2.0.7", "2.1.5", "2.2.0"],
    backports: [
      { version: "1.6.20~ds1-1+deb12u2", source: "https://security-tracker.debian.org/tracker/CVE-2024-25621" },
    ],
    source: "https://github.com/containerd/containerd/security/advisories/GHSA-pwhc-rpq9-4c8w",
  },
  {
    id: "CVE-2022-0847",
    component: "linux",
    title: "Dirty Pipe: any file that can be read can be written",
    consequence: "escape",
    introduced: "5.8",
    fixed: ["5.10.102", "5.15.25", "5.16.11"],
    source: "https://dirtypipe.cm4all.com/",
  },
  {
    id: "CVE-2026-31431",
    component: "linux",
    title: "Copy Fail: any file that can be read can be written, by sockets of the kind AF_ALG",
    consequence: "escape",
    introduced: "4.14",
    fixed: ["5.10.254", "5.15.204", "6.1.170", "6.6.137", "6.12.85", "6.18.22", "6.19.12", "7.0"],
    mitigatedBy: "seccomp",
    source: cve("CVE-2026-31431"),
  },
];
