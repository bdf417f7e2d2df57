import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ExecEvent, ExecRequest, Guest } from "../guest/guest.ts";
import type { ImageRoot } from "../images/image-store.ts";
import { type HostSnapshot, hostSnapshot, leftBehind } from "./host-snapshot.testing.ts";
import type { Provider, Runtime, SandboxSpec, SecurityProfile } from "./provider.ts";

/** A provider under test, and what surrounds it. */
export interface ProviderUnderTest {
  readonly dataRoot: string;
  readonly image: ImageRoot | undefined;
  /** A new instance over the same data root, as after a restart. */
  open(): Provider;
  /** Ends the provider's programs without a farewell, as kill -9 would. */
  crash(): Promise<void>;
  close(): Promise<void>;
}

export interface ProviderContractOptions {
  readonly name: string;
  readonly make: () => Promise<ProviderUnderTest>;
  /** True where CI promises that this provider's runtime is present: then unhealthy is a failure, not a skip. */
  readonly mustNotSkip: boolean;
}

const signal = () => AbortSignal.timeout(30_000);
const sandboxId = () => `sb-${randomBytes(8).toString("hex")}`;
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const shell = (script: string): readonly string[] => ["/bin/sh", "-c", script];
const maxOutputBytes = 1 << 20;

const sh = async (guest: Guest, script: string, more: Partial<ExecRequest> = {}) => {
  const result = await guest.run({ argv: shell(script), maxOutputBytes, timeoutMs: 20_000, ...more }, signal());
  return { ...result, out: text(result.stdout), err: text(result.stderr) };
};

const until = async <T>(look: () => Promise<T>, right: (value: T) => boolean, withinMs = 15_000): Promise<T> => {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = await look();
    if (right(value) || performance.now() > end) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** Other work on the machine may come and go meanwhile; what is left behind stays. */
const quietWithinMs = 25_000;
const testTimeoutMs = 60_000;

/** The suite that every provider passes. */
export const describeProvider = (options: ProviderContractOptions): void => {
  describe(`provider ${options.name}`, () => {
    let under: ProviderUnderTest;
    let provider: Provider;
    let before: HostSnapshot;
    let missing: readonly string[] = [];
    const runtimes = new Map<SecurityProfile, Runtime>();

    const spec = (more: Partial<SandboxSpec> = {}): SandboxSpec => ({
      id: sandboxId(),
      image: under.image,
      memoryMb: 256,
      vcpus: 1,
      diskMb: 64,
      pidsMax: 128,
      security: "default",
      network: "none",
      generation: 1,
      ...more,
    });
    const nothingLeft = async () => {
      const left = await until(
        async () => leftBehind(before, await hostSnapshot({ dataRoot: under.dataRoot })),
        (names) => names.length === 0,
        quietWithinMs,
      );
      expect(left).toEqual([]);
    };

    const test = (name: string, body: () => Promise<void>): void => {
      it(
        name,
        async (context) => {
          if (missing.length > 0) context.skip(`${options.name}: ${missing.join("; ")}`);
          await body();
        },
        testTimeoutMs,
      );
    };
    const each = (name: string, body: (runtime: Runtime, profile: SecurityProfile) => Promise<void>): void => {
      test(name, async () => {
        for (const [profile, runtime] of runtimes) await body(runtime, profile);
      });
    };

    beforeAll(async () => {
      under = await options.make();
      provider = under.open();
      missing = (await provider.fingerprint(signal())).missing;
      if (missing.length > 0) {
        if (options.mustNotSkip) throw new Error(`${options.name} must not be skipped: ${missing.join("; ")}`);
        return;
      }
      // The first sandbox makes what is made once, such as a formatted disk.
      await (await provider.spawn(spec(), signal())).destroy(signal());
      before = await hostSnapshot({ dataRoot: under.dataRoot });
      for (const security of provider.capabilities.securityProfiles) {
        runtimes.set(security, await provider.spawn(spec({ security }), signal()));
      }
    }, 60_000);

    afterAll(async () => {
      for (const runtime of runtimes.values()) await runtime.destroy(signal());
      // What a failed test left.
      for (const one of (await provider?.list(signal())) ?? []) await provider.reap(one.sandboxId, signal());
      await provider?.[Symbol.asyncDispose]();
      await under?.close();
    }, 60_000);

    each("gives argv to the program byte for byte, never to a shell", async ({ guest }) => {
      const argv = ["/bin/printf", "%s|", "$(id)", "a b", "-n", "'\"\\", "line\nbreak", "*", "", "é🙂"];
      const result = await guest.run({ argv, maxOutputBytes }, signal());
      expect(text(result.stdout)).toBe(
        argv
          .slice(2)
          .map((arg) => `${arg}|`)
          .join(""),
      );
      expect(result.exitCode).toBe(0);
    });

    each("reports exit codes, deaths by signal, and a missing program as data", async ({ guest }) => {
      expect((await sh(guest, "exit 7")).exitCode).toBe(7);
      expect(await sh(guest, "kill -TERM $$")).toMatchObject({ exitCode: 143, signal: 15 });
      expect((await guest.run({ argv: ["/no/such/program"], maxOutputBytes }, signal())).exitCode).toBe(127);
    });

    each("passes environment, working directory and stdin", async ({ guest }) => {
      const result = await sh(guest, 'echo "$A"; pwd; cat', {
        env: { A: "a\n'$b" },
        cwd: "/tmp",
        stdin: new TextEncoder().encode("in"),
      });
      expect(result.out).toBe("a\n'$b\n/tmp\nin");
      expect((await sh(guest, "pwd")).out).toBe("/workspace\n");
    });

    test("runs as the user that was asked for, and under restricted only as 1000", async () => {
      for (const [profile, { guest }] of runtimes) {
        expect((await sh(guest, "id -u")).out).toBe(profile === "restricted" ? "1000\n" : "0\n");
        const other = guest.run({ argv: ["/bin/id", "-u"], user: "1234:1234", maxOutputBytes }, signal());
        if (profile === "restricted") await expect(other).rejects.toMatchObject({ reason: "invalid_input" });
        else if (options.name !== "mock" || process.getuid?.() === 0) expect(text((await other).stdout)).toBe("1234\n");
      }
    });

    each("streams output in the order in which it was written, then the exit", async ({ guest }) => {
      const events: ExecEvent[] = [];
      const script = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done; exit 3";
      for await (const event of guest.exec({ argv: shell(script) }, signal())) events.push(event);
      const output = events.flatMap((event) => (event.type === "output" ? [event.data] : []));
      expect(text(Buffer.concat(output))).toBe(Array.from({ length: 200 }, (_, i) => `${i}\n`).join(""));
      expect(events[0]?.type).toBe("start");
      expect(events.at(-1)).toMatchObject({ type: "exit", exitCode: 3 });
    });

    each("keeps the head of output beyond the cap and says that it was cut", async ({ guest }) => {
      const result = await guest.run(
        { argv: shell("head -c 300000 /dev/zero; echo end >&2"), maxOutputBytes: 1000 },
        signal(),
      );
      expect(result.stdout.length + result.stderr.length).toBe(1000);
      expect(result).toMatchObject({ truncated: true, exitCode: 0 });
    });

    each("ends the whole tree at the deadline, with what was printed, within 300 ms", async ({ guest }) => {
      const marker = randomBytes(4).readUInt32LE() % 100_000_000;
      const started = performance.now();
      const result = await sh(guest, `echo early; setsid sleep 9${marker} & sleep 9${marker}`, { timeoutMs: 300 });
      expect(performance.now() - started).toBeLessThan(600);
      expect(result).toMatchObject({ out: "early\n", timedOut: true });
      const left = await until(
        async () => (await sh(guest, `ps -o args 2>/dev/null || ps ax -o args`)).out.includes(`sleep 9${marker}\n`),
        (alive) => !alive,
        300,
      );
      expect(left).toBe(false);
    });

    each("ends the whole tree when the caller goes away", async ({ guest }) => {
      const marker = `8${randomBytes(4).readUInt32LE() % 100_000_000}`;
      const away = new AbortController();
      const events = guest.exec({ argv: shell(`setsid sleep ${marker} & echo up; sleep ${marker}`) }, away.signal);
      await expect(
        (async () => {
          for await (const event of events) if (event.type === "output") away.abort();
        })(),
      ).rejects.toThrow();
      const alive = async () => (await sh(guest, `ps -o args 2>/dev/null || ps ax -o args`)).out.includes(marker);
      expect(await until(alive, (value) => !value, 2000)).toBe(false);
    });

    each("lets a background child live on after its shell", async ({ guest }) => {
      const marker = `7${randomBytes(4).readUInt32LE() % 100_000_000}`;
      const result = await sh(guest, `sleep ${marker} & echo started`);
      expect(result).toMatchObject({ out: "started\n", exitCode: 0, background: true });
      expect((await sh(guest, "ps -o args 2>/dev/null || ps ax -o args")).out).toContain(`sleep ${marker}`);
    });

    each("writes, reads, lists, moves, changes and removes files of any name", async ({ guest }) => {
      for (const name of ["plain", "a b", "-rf", "new\nline", "q'\"", "p|pe", "🙂", "$(x)"]) {
        const path = `/workspace/deep/${name}`;
        const content = randomBytes(5000);
        await guest.writeFile(path, content, { mode: 0o640 }, signal());
        const read = await guest.readFile(path, {}, signal());
        expect(Buffer.compare(await buffer(read.body), content)).toBe(0);
        expect(await guest.stat(path, signal())).toMatchObject({ path, type: "file", sizeBytes: 5000, mode: 0o640 });
        expect((await guest.list("/workspace/deep", signal())).map((entry) => entry.path)).toContain(path);
        await guest.chmod(path, 0o600, signal());
        await guest.move(path, `${path}.moved`, signal());
        expect((await guest.stat(`${path}.moved`, signal())).mode).toBe(0o600);
        await guest.remove(`${path}.moved`, { recursive: false }, signal());
        await expect(guest.stat(`${path}.moved`, signal())).rejects.toMatchObject({ reason: "file_not_found" });
      }
      await expect(guest.remove("/workspace/deep", { recursive: false }, signal())).rejects.toMatchObject({
        reason: "directory_needs_recursive",
      });
      await guest.remove("/workspace/deep", { recursive: true }, signal());
    });

    each("finds files by pattern", async ({ guest }) => {
      for (const name of ["x/one.ts", "x/y/two.ts", "x/three.js"]) {
        await guest.writeFile(`/workspace/glob/${name}`, new Uint8Array(), {}, signal());
      }
      expect(await guest.glob("/workspace/glob/**/*.ts", signal())).toEqual([
        "/workspace/glob/x/one.ts",
        "/workspace/glob/x/y/two.ts",
      ]);
    });

    each("keeps every path inside: dots and symlinks end in the sandbox's own root", async ({ guest }) => {
      const hostSecret = await readFile("/etc/hostname", "utf8").catch(() => "");
      await sh(guest, "ln -sfn / /workspace/root; ln -sfn /proc/1/root/etc/hostname /workspace/agent");
      await guest.writeFile("/workspace/root/tmp/inside", new TextEncoder().encode("in"), {}, signal());
      expect((await sh(guest, "cat /tmp/inside")).out).toBe("in");
      for (const path of ["/../../../../etc/hostname", "/workspace/agent", "/workspace/root/etc/hostname"]) {
        const content = await guest.readFile(path, {}, signal()).then(
          async (read) => (await buffer(read.body)).toString(),
          () => "",
        );
        if (hostSecret !== "") expect(content).not.toBe(hostSecret);
      }
    });

    each("refuses FIFOs, devices and endless files without hanging", async ({ guest }) => {
      await sh(guest, "mkfifo /workspace/fifo");
      for (const path of ["/workspace/fifo", "/dev/zero", "/proc/self/mem", "/workspace"]) {
        await expect(guest.readFile(path, {}, AbortSignal.timeout(3000)), path).rejects.toMatchObject({
          reason: expect.stringMatching(/^(not_a_file|file_permission_denied)$/),
        });
      }
    });

    each("has lost every privilege that its profile doesn't name", async ({ guest }, profile) => {
      const status = (await sh(guest, "cat /proc/self/status")).out;
      const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
      expect(field("NoNewPrivs")).toBe("1");
      // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE
      const allowed = profile === "restricted" ? "0000000000000000" : "00000000000004fb";
      expect([field("CapBnd"), field("CapPrm")]).toEqual([allowed, allowed]);
      expect(field("CapAmb")).toBe("0000000000000000");
      if (provider.capabilities.isolation !== "none") expect(field("Seccomp")).toBe("2");
    });

    each("cannot make user namespaces, nor other namespaces without one", async ({ guest }) => {
      expect((await sh(guest, "cat /proc/sys/user/max_user_namespaces")).out).toBe("0\n");
      expect((await sh(guest, "unshare -U true 2>/dev/null || unshare -n true 2>/dev/null")).exitCode).not.toBe(0);
    });

    each("is never root on the host", async ({ guest }) => {
      const map = (await sh(guest, "cat /proc/self/uid_map")).out.trim().split(/\s+/).map(Number);
      const [inside, outside] = map;
      expect(inside).toBe(0);
      if (process.getuid?.() === 0) expect(outside).toBeGreaterThanOrEqual(0x70000000);
    });

    each("gives commands no descriptor above 2", async ({ guest }) => {
      // No pipe in the shell: it would hold an end of it.
      expect((await sh(guest, "ls /proc/$$/fd; :")).out).toBe("0\n1\n2\n");
    });

    test("is found and attached to by a new instance after a crash of the old one", async () => {
      const made = await provider.spawn(spec({ generation: 5 }), signal());
      await made.guest.writeFile("/workspace/kept", new TextEncoder().encode("kept"), {}, signal());
      await under.crash();
      const again = under.open();
      const found = (await again.list(signal())).find((one) => one.sandboxId === made.sandboxId);
      expect(found).toMatchObject({ alive: true, generation: 5, ref: made.ref });
      const attached = await again.attach(made.sandboxId, made.ref, signal());
      if (!attached) throw new Error("not attached");
      expect((await sh(attached.guest, "cat /workspace/kept")).out).toBe("kept");
      await attached.destroy(signal());
      expect(await again.attach(made.sandboxId, made.ref, signal())).toBeUndefined();
      await made.guest[Symbol.asyncDispose]();
    });

    test("destroys twice without complaint, and reaps what has died by itself", async () => {
      const twice = await provider.spawn(spec(), signal());
      await twice.destroy(signal());
      await twice.destroy(signal());
      const dead = await provider.spawn(spec(), signal());
      const pid = Number(dead.ref.data.pid);
      process.kill(pid, "SIGKILL");
      const own = async () => (await provider.list(signal())).find((one) => one.sandboxId === dead.sandboxId);
      expect((await until(own, (one) => one?.alive === false))?.alive).toBe(false);
      expect(await provider.attach(dead.sandboxId, dead.ref, signal())).toBeUndefined();
      await provider.reap(dead.sandboxId, signal());
      expect(await own()).toBeUndefined();
      await dead.guest[Symbol.asyncDispose]();
    });

    test("leaves nothing of a spawn that was withdrawn", async () => {
      const away = new AbortController();
      const spawning = provider.spawn(spec(), away.signal);
      away.abort();
      await expect(spawning).rejects.toThrow();
      expect(await provider.list(signal())).toHaveLength(runtimes.size);
    });

    each("shows no device, engine or setting of the host that could be used", async ({ guest }) => {
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

    test("holds its bounds on memory, processes and disk, and answers afterwards", async () => {
      const { limits } = provider.capabilities;
      const own = await provider.spawn(spec({ memoryMb: 64, pidsMax: 40 }), signal());
      if (limits.disk) {
        const filled = await sh(own.guest, "dd if=/dev/zero of=/workspace/fill bs=1M count=128; rm /workspace/fill");
        expect(filled.err).toMatch(/No space left/);
      }
      if (limits.memory) {
        // tail keeps the one line that it gets.
        const balloon = await sh(own.guest, "head -c 200000000 /dev/zero | tail -n 1 | wc -c", { timeoutMs: 15_000 });
        expect(balloon.out).not.toBe("200000000\n");
        const killed = await sh(own.guest, "exec dd if=/dev/zero of=/dev/null bs=200M count=1", { timeoutMs: 15_000 });
        expect(killed).toMatchObject({ exitCode: 137, timedOut: false });
      }
      if (limits.pids) {
        const bomb = "i=0; while [ $i -lt 100 ]; do sleep 2 & i=$((i+1)); done; exit 0";
        await sh(own.guest, bomb, { timeoutMs: 1500 });
        const usage = await own.guest.usage(signal());
        expect(usage.processes).toBeLessThanOrEqual(40);
      }
      await until(
        () =>
          sh(own.guest, "echo still here").then(
            (result) => result.out,
            () => "",
          ),
        (out) => out === "still here\n",
        8000,
      ).then((out) => expect(out).toBe("still here\n"));
      await own.destroy(signal());
    });

    test("hides sandboxes from one another", async () => {
      const other = await provider.spawn(spec(), signal());
      const [first] = runtimes.values();
      const marker = `6${randomBytes(4).readUInt32LE() % 100_000_000}`;
      await sh(other.guest, `sleep ${marker} & echo secret > /tmp/secret`);
      const seen = await sh(first?.guest as Guest, "ps -o args 2>/dev/null || ps ax -o args; ls /tmp; hostname");
      expect(seen.out).not.toMatch(new RegExp(`${marker}|secret|${other.sandboxId}`));
      await other.destroy(signal());
    });

    test("tells memory and processor use", async () => {
      const [runtime] = runtimes.values();
      const usage = await runtime?.usage(signal());
      expect(usage?.cpuPct).toBeGreaterThanOrEqual(0);
      if (provider.capabilities.limits.memory) expect(usage?.memoryLimitBytes).toBe(256 * 1024 * 1024);
    });

    test("leaves nothing on the host, however busy the sandboxes were", async () => {
      for (const runtime of runtimes.values()) {
        await sh(runtime.guest, "for i in 1 2 3; do setsid sleep 1000 & done; dd if=/dev/zero of=/tmp/f bs=1M count=8");
        await runtime.destroy(signal());
      }
      runtimes.clear();
      await nothingLeft();
    });
  });
};
