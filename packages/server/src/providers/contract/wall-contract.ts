import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import { agentPath } from "../hardening.ts";
import { marker, outputMaxBytes, type ProviderSuite, placeProbe, sh, signal, text } from "./suite.testing.ts";

/** What a sandbox's programs cannot do, see or reach. */
export const wallContract = (suite: ProviderSuite): void => {
  const hasWall = () => suite.provider().capabilities.isolation !== "none";
  /** Being root inside is offered only where that is nobody's root outside. */
  const mapsUsers = () => suite.provider().capabilities.securityProfiles.includes("default");

  suite.each("has lost every privilege that its profile doesn't name", async ({ guest }, profile) => {
    const status = (await sh(guest, "cat /proc/self/status")).out;
    const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
    expect(field("NoNewPrivs")).toBe("1");
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE
    const allowed = profile === "restricted" ? "0000000000000000" : "00000000000004fb";
    expect([field("CapBnd"), field("CapPrm")]).toEqual([allowed, allowed]);
    expect(field("CapAmb")).toBe("0000000000000000");
    if (hasWall()) expect(field("Seccomp")).toBe("2");
  });

  suite.each("is refused every call that reaches for the host or administers the kernel", async ({ guest }) => {
    const probe = await placeProbe(suite, guest);
    const answered = await guest.run({ argv: [probe, "calls"], maxOutputBytes: outputMaxBytes }, signal());
    const answers: Record<string, string> = JSON.parse(text(answered.stdout));
    expect(Object.keys(answers).length).toBeGreaterThan(50);
    const got = Object.entries(answers);
    if (hasWall()) {
      const refusals = ["EPERM", "EACCES", "ENOENT", "ENODATA"];
      const others = Object.fromEntries(got.filter(([, answer]) => !refusals.includes(answer)));
      // Where nothing bounds the namespace itself, the call is missing.
      const missing = { "clone3 user namespace": "ENOSYS", "clone3 pid namespace": "ENOSYS" };
      expect([{ "clone3 user namespace": "ENOSPC" }, missing]).toContainEqual(others);
    } else {
      const open = [
        "add_key",
        "request_key",
        "keyctl",
        "io_uring_setup",
        "userfaultfd",
        "vsock",
        "kernel crypto socket",
      ];
      expect(got.filter(([name, answer]) => answer === "done" && !open.includes(name))).toEqual([]);
    }
  });

  suite.each("cannot make user namespaces, nor other namespaces without one", async ({ guest }) => {
    if ((await sh(guest, "cat /proc/sys/user/max_user_namespaces")).out !== "0\n") {
      const probe = await placeProbe(suite, guest);
      const { stdout } = await guest.run({ argv: [probe, "calls"], maxOutputBytes: outputMaxBytes }, signal());
      expect(JSON.parse(text(stdout))).toMatchObject({
        "clone3 user namespace": "ENOSYS",
        "clone user namespace": "EPERM",
        "unshare user": "EPERM",
      });
    }
    expect((await sh(guest, "unshare -U true 2>/dev/null || unshare -n true 2>/dev/null")).exitCode).not.toBe(0);
  });

  suite.each("finds masked paths empty and the kernel's settings read-only", async ({ guest }) => {
    if (!hasWall()) return;
    const masked = `for f in acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list; do
        if [ -d /proc/$f ]; then ls -A /proc/$f; elif [ -e /proc/$f ]; then head -c 64 /proc/$f; fi; done
      ls -A /sys/fs/cgroup /sys/firmware /sys/kernel 2>/dev/null | grep -v '^/sys.*:$' | grep .; :`;
    expect((await sh(guest, masked)).out).toBe("");
    const opening = `for f; do true 2>/dev/null >>"$f" && echo "$f"; done`;
    const writable = `find /proc/sys /proc/bus /proc/fs /proc/irq /sys -type f -exec sh -c '${opening}' - {} + 2>/dev/null`;
    expect((await sh(guest, `${writable}; :`)).out).toBe("");
    const options = (await sh(guest, "cat /proc/self/mountinfo")).out;
    for (const path of ["/sys", "/proc/sys", "/proc/bus", "/proc/fs", "/proc/irq"]) {
      expect(options, path).toMatch(new RegExp(`^\\S+ \\S+ \\S+ \\S+ ${path} ro,`, "m"));
    }
    // An engine's root, and a volume of the engine's with the agent, may receive mounts of the host's, and pass none on.
    expect(options).not.toMatch(/ shared:\d+/);
    const receiving = options.split("\n").filter((line) => / master:\d+/.test(line));
    expect(receiving.filter((line) => !["/", agentPath].includes(line.split(" ")[4] ?? ""))).toEqual([]);
  });

  suite.each("is never root on the host", async ({ guest }, profile) => {
    const map = (await sh(guest, "cat /proc/self/uid_map")).out.trim().split(/\s+/).map(Number);
    const [inside, outside, count] = map;
    expect(inside).toBe(0);
    if (process.getuid?.() !== 0) return;
    if (!mapsUsers()) {
      // Nothing inside is root either, nor can become it.
      expect(profile).toBe("restricted");
      const owners = "for status in /proc/[0-9]*/status; do grep -E '^(Uid|CapBnd):' $status; done | sort -u";
      expect((await sh(guest, owners)).out).toBe("CapBnd:\t0000000000000000\nUid:\t1000\t1000\t1000\t1000\n");
      return;
    }
    expect(outside).toBeGreaterThanOrEqual(0x70000000);
    expect(count).toBe(65536);
    expect(map).toHaveLength(3);
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
  });

  suite.each("has no network but its own loopback", async ({ guest }) => {
    const devices = (await sh(guest, "cat /proc/net/dev")).out.split("\n").slice(2);
    expect(devices.flatMap((line) => /^\s*([^:]+):/.exec(line)?.[1] ?? [])).toEqual(["lo"]);
    expect((await sh(guest, "cat /proc/net/route")).out.trim().split("\n")).toHaveLength(1);
    expect(
      (await sh(guest, "cat /proc/net/unix")).out
        .split("\n")
        .filter((line) => /\s[@/]/.test(line) && !line.endsWith(" /dev/.stacyvm-door/agent.sock")),
    ).toEqual([]);
  });

  suite.each("tells nothing of where things lie on the host", async ({ guest }) => {
    const own = suite.under().dataRoot;
    const mountTables = suite.under().tellsHostPaths ? [] : ["mountinfo", "mounts", "mountstats"];
    for (const file of [...mountTables, "maps", "environ"]) {
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

  // Loopback, abstract sockets, shared memory and signals belong to these.
  suite.test("shares no namespace between sandboxes", async () => {
    const other = await suite.provider().spawn(suite.spec(), signal());
    const [first] = suite.runtimes.values();
    const kinds = ["cgroup", "ipc", "mnt", "net", "pid", ...(mapsUsers() ? ["user"] : []), "uts"];
    const namespaces = async (guest: Guest) =>
      (await sh(guest, `for kind in ${kinds.join(" ")}; do readlink /proc/self/ns/$kind; done`)).out.trim().split("\n");
    const own = await namespaces(first?.guest as Guest);
    expect(own.map((name) => name.replace(/:.*/, ""))).toEqual(kinds);
    expect((await namespaces(other.guest)).filter((name) => own.includes(name))).toEqual([]);
    await other.destroy(signal());
  });
};
