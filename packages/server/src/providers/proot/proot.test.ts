import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectGuest } from "../../guest/agent/connect-guest.ts";
import type { ImageRoot } from "../../images/image-store.ts";
import { outputMaxBytes, sh, signal, text } from "../contract/suite.testing.ts";
import { buildNative, busyboxImage, makeTestHost } from "../host.testing.ts";
import { type HostHelper, hostHelper } from "../host-helper.ts";
import type { Provider, Runtime } from "../provider.ts";
import { sandboxSpec } from "../sandbox-spec.testing.ts";
import { prootProvider } from "./proot.ts";

let host: Awaited<ReturnType<typeof makeTestHost>>;
let image: ImageRoot;
let helper: HostHelper;
let provider: Provider;
let runtime: Runtime;

beforeAll(async () => {
  host = await makeTestHost();
  image = await busyboxImage(join(host.dataRoot, "images/busybox"));
  helper = hostHelper(host);
  provider = prootProvider({ serverId: "test", helper, connectGuest, networkMode: "none" });
  expect((await provider.fingerprint(signal())).missing).toEqual([]);
  runtime = await provider.spawn(sandboxSpec({ id: "sb-proot-test", image }), signal());
});

afterAll(async () => {
  await runtime?.destroy(signal());
  await helper?.[Symbol.asyncDispose]();
  await rm(host.dataRoot, { recursive: true });
});

test("root inside is pretended: no capability, no way to gain one, a syscall filter", async () => {
  const { out } = await sh(runtime.guest, "id -u; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
  const none = "0".repeat(16);
  expect(out.replaceAll("\t", " ").split("\n")).toEqual([
    "0",
    ...["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map((name) => `${name}: ${none}`),
    "NoNewPrivs: 1",
    "Seccomp: 2",
    "",
  ]);
});

test("of what the wall's probe attempts, nothing is done but what is pretended", async () => {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-probe-"));
  stack.defer(() => rm(directory, { recursive: true }));
  const probe = await readFile(buildNative("wall-probe", directory));
  await runtime.guest.writeFile("/tmp/wall-probe", probe, { mode: 0o755 }, signal());
  const said = await runtime.guest.run(
    { argv: ["/tmp/wall-probe", "calls"], maxOutputBytes: outputMaxBytes },
    signal(),
  );
  const answers: Record<string, string> = JSON.parse(text(said.stdout));
  const done = Object.entries(answers).flatMap(([name, answer]) => (answer === "done" ? [name] : []));
  expect(done).toEqual(["sethostname"]);
  const hostname = await sh(runtime.guest, "hostname");
  expect(hostname.out).toBe("sb-proot-test\n");
});

test("PRoot cannot be traced, written to or signalled from inside", async () => {
  const { out } = await sh(
    runtime.guest,
    "head -c 8 /proc/1/mem; (echo x > /proc/1/mem); kill -9 1; grep -c proot /proc/1/cmdline; echo alive",
  );
  expect(out).toBe("1\nalive\n");
});

test("what a sandbox writes is its own: the image stays, and no file of it is shared by name", async () => {
  const before = await readdir(join(image.rootfsPath, "bin"));
  await sh(runtime.guest, "echo changed > /etc/passwd; rm /bin/vi; echo new > /bin/new");
  expect(await readdir(join(image.rootfsPath, "bin"))).toEqual(before);
  expect(await readFile(join(image.rootfsPath, "etc/passwd"), "utf8")).toContain("root:x:0:0");
});

test("many commands at once each keep a heap of their own", async () => {
  const script = "x=a; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do x=$x$x; done; printf %s $x | wc -c";
  const results = await Promise.all(Array.from({ length: 24 }, () => sh(runtime.guest, script)));
  expect(new Set(results.map(({ exitCode, out }) => `${exitCode} ${out}`))).toEqual(new Set(["0 4096\n"]));
});

test("without namespaces it is healthy only where the operator lets sandboxes use the host's network", async () => {
  const without: HostHelper = {
    ...helper,
    call: async (verb, args, at) => {
      const answer = await helper.call(verb, args, at);
      return verb === "probe" ? { ...answer, no_namespaces: "they are off" } : answer;
    },
  };
  const closed = prootProvider({ serverId: "test", helper: without, connectGuest, networkMode: "none" });
  const fingerprint = await closed.fingerprint(signal());
  expect(fingerprint.healthy).toBe(false);
  expect(fingerprint.missing.join()).toContain("providers.proot.network_mode: host");
  await expect(closed.spawn(sandboxSpec({ id: "sb-refused", image }), signal())).rejects.toMatchObject({
    reason: "not_supported",
  });
  const open = prootProvider({ serverId: "test", helper: without, connectGuest, networkMode: "host" });
  expect((await open.fingerprint(signal())).healthy).toBe(true);
  expect(open.capabilities.networks).toEqual(["host"]);
  expect(provider.capabilities.networks).toEqual(["none", "egress"]);
});

test("an exec stops for the tracer not much more often than its program does", async () => {
  const { pid } = await helper.call("inspect", { sandbox_id: "sb-proot-test" }, signal());
  /** The tracer waits after each stop, unless the next one is there already. */
  const waits = async (): Promise<number> =>
    Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
  const perExec: number[] = [];
  for (let at = 0; at < 30; at++) {
    const before = await waits();
    await runtime.guest.run({ argv: ["true"], maxOutputBytes: outputMaxBytes }, signal());
    perExec.push((await waits()) - before);
  }
  // A quarter of them is quiet enough to count: what a busy host adds is not the agent's doing. `true` itself takes 57.
  expect(perExec.toSorted((a, b) => a - b)[7]).toBeLessThan(200);
});
