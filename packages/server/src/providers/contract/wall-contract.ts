import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import { marker, type ProviderSuite, sh, signal } from "./suite.testing.ts";

/** What a sandbox's programs cannot do, see or reach. */
export const wallContract = (suite: ProviderSuite): void => {
  suite.each("has lost every privilege that its profile doesn't name", async ({ guest }, profile) => {
    const status = (await sh(guest, "cat /proc/self/status")).out;
    const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
    expect(field("NoNewPrivs")).toBe("1");
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE
    const allowed = profile === "restricted" ? "0000000000000000" : "00000000000004fb";
    expect([field("CapBnd"), field("CapPrm")]).toEqual([allowed, allowed]);
    expect(field("CapAmb")).toBe("0000000000000000");
    if (suite.provider().capabilities.isolation !== "none") expect(field("Seccomp")).toBe("2");
  });

  suite.each("cannot make user namespaces, nor other namespaces without one", async ({ guest }) => {
    expect((await sh(guest, "cat /proc/sys/user/max_user_namespaces")).out).toBe("0\n");
    expect((await sh(guest, "unshare -U true 2>/dev/null || unshare -n true 2>/dev/null")).exitCode).not.toBe(0);
  });

  suite.each("is never root on the host", async ({ guest }) => {
    const map = (await sh(guest, "cat /proc/self/uid_map")).out.trim().split(/\s+/).map(Number);
    const [inside, outside] = map;
    expect(inside).toBe(0);
    if (process.getuid?.() === 0) expect(outside).toBeGreaterThanOrEqual(0x70000000);
  });

  suite.each("shows no device, engine or setting of the host that could be used", async ({ guest }) => {
    expect((await sh(guest, "find /dev /run /var/run -type b 2>/dev/null")).out).toBe("");
    const doors =
      "/dev/kvm /dev/mem /dev/loop0 /dev/loop-control /var/run/docker.sock /run/containerd /run/docker.sock";
    expect((await sh(guest, `ls -d ${doors} 2>/dev/null`)).out).toBe("");
    const settings = "/proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/modprobe";
    expect((await sh(guest, `for f in ${settings}; do echo x 2>/dev/null > $f && echo wrote; done`)).out).toBe("");
    for (const attempt of [
      "mount -t tmpfs x /mnt",
      "mount -o remount,rw /proc",
      "mknod /tmp/b b 7 0",
      "chroot / true",
    ]) {
      expect((await sh(guest, `mkdir -p /mnt; ${attempt}`)).exitCode, attempt).not.toBe(0);
    }
    expect((await sh(guest, "cat /proc/net/dev")).out).not.toMatch(/eth|ens|docker/);
  });

  suite.each("tells nothing of where things lie on the host", async ({ guest }) => {
    const own = suite.under().dataRoot;
    for (const file of ["mountinfo", "mounts", "mountstats", "maps", "environ"]) {
      expect((await sh(guest, `cat /proc/self/${file}`)).out, file).not.toContain(own);
    }
  });

  suite.test("hides sandboxes from one another", async () => {
    const other = await suite.provider().spawn(suite.spec(), signal());
    const [first] = suite.runtimes.values();
    const mark = marker(6);
    await sh(other.guest, `sleep ${mark} & echo secret > /tmp/secret`);
    const seen = await sh(first?.guest as Guest, "ps -o args 2>/dev/null || ps ax -o args; ls /tmp; hostname");
    expect(seen.out).not.toMatch(new RegExp(`${mark}|secret|${other.sandboxId}`));
    await other.destroy(signal());
  });
};
