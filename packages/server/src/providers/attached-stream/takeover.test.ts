import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { Duplex, PassThrough, Readable } from "node:stream";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { connectGuest } from "../../guest/agent/connect-guest.ts";
import type { Guest } from "../../guest/guest.ts";
import { contentOf, sh, signal, until } from "../contract/suite.testing.ts";
import { attachedDial } from "./attached-dial.ts";
import { type AttachedAgent, attachedAgent } from "./engine.testing.ts";

let agent: AttachedAgent;
beforeAll(async () => {
  agent = await attachedAgent();
});
afterAll(async () => {
  await agent?.close();
});

/** A host over the agent's engine, and the attachments that it made. */
const host = (wrap: (attachment: Duplex) => Duplex = (attachment) => attachment) => {
  const attachments: Duplex[] = [];
  const attach = async (): Promise<Duplex> => {
    const attachment = wrap(await agent.attach());
    attachments.push(attachment);
    return attachment;
  };
  const { dial, close } = attachedDial({ attach, key: agent.key });
  const guest = connectGuest({ dial, label: "attached", multiplexed: true });
  const leave = async (): Promise<void> => {
    await guest[Symbol.asyncDispose]();
    close();
  };
  onTestFinished(leave);
  return { guest, attachments, leave };
};

const unreachable = { reason: "guest_unreachable" };
const content = (bytes: number): Buffer => {
  const made = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) made[at] = (at * 2_654_435_761) >>> 24;
  return made;
};
const processId = (): string => `pr-${randomBytes(8).toString("hex")}`;
const output = async (guest: Guest, id: string): Promise<string> => {
  let seen = "";
  for await (const event of guest.processes.attach(id, { offset: 0, follow: true }, signal())) {
    if (event.type === "output") seen += Buffer.from(event.data).toString();
  }
  return seen;
};

test("a second host takes over: the first one's streams end with the reason, processes live and replay", async () => {
  const first = host();
  const id = processId();
  const script = "echo before; read x; echo after";
  await first.guest.processes.start(id, { argv: ["/bin/sh", "-c", script], stdinOpen: true }, signal());
  const command = first.guest.run({ argv: ["/bin/sleep", "60"], maxOutputBytes: 1000 }, signal());
  const watched = output(first.guest, id);
  const failures = Promise.allSettled([command, watched]);
  await until(
    async () => (await first.guest.processes.list(signal())).length,
    (count) => count === 2,
  );
  const second = host();
  await second.guest.ready(signal());
  for (const failure of await failures) {
    expect(failure).toMatchObject({ status: "rejected", reason: unreachable });
    expect(String(failure.status === "rejected" && failure.reason)).toContain("another host has attached");
  }
  // The command belonged to the call alone, as on every transport.
  const running = async () => (await second.guest.processes.list(signal())).filter(({ state }) => state === "running");
  expect((await until(running, (list) => list.length === 1)).map((one) => one.id)).toEqual([id]);
  await second.guest.processes.writeStdin(id, Buffer.from("\n"), 1_000, signal());
  expect(await output(second.guest, id)).toBe("before\nafter\n");
  // The first one attaches anew, which is its right until somebody fences it off.
  expect((await sh(first.guest, "echo again")).out).toBe("again\n");
});

test("a host that is gone amid a frame leaves neither half a file nor a broken door", async () => {
  const bytes = content(3 * 1024 * 1024);
  for (const after of [1, 100, 65_000, 65_620, 70_000, 131_333, 1_000_003]) {
    // The attachment ends after so many bytes of what this host has to say behind its hello.
    const { guest, leave } = host((attachment) => cutAfter(attachment, after + 65_600));
    await expect(guest.writeFile("/tmp/half", bytes, {}, signal()), String(after)).rejects.toMatchObject(unreachable);
    await leave();
    const next = host();
    await expect(next.guest.stat("/tmp/half", signal())).rejects.toMatchObject({ reason: "file_not_found" });
    await next.guest.writeFile("/tmp/whole", bytes, {}, signal());
    const read = await contentOf(await next.guest.readFile("/tmp/whole", {}, signal()));
    expect(read.equals(bytes)).toBe(true);
    await next.guest.remove("/tmp/whole", { recursive: false }, signal());
    await next.leave();
  }
});

test("a host that is killed mid-stream is followed by another, again and again", async () => {
  const id = processId();
  const first = host();
  const argv = ["/bin/sh", "-c", "while read x; do echo got $x; done"];
  await first.guest.processes.start(id, { argv, stdinOpen: true }, signal());
  await first.leave();
  for (let round = 0; round < 5; round++) {
    const victim = await busyHost(agent, `/tmp/round-${round}`);
    victim.kill("SIGKILL");
    const { guest, leave } = host();
    await guest.processes.writeStdin(id, Buffer.from(`${round}\n`), 1_000, signal());
    expect((await sh(guest, "echo whole")).out).toBe("whole\n");
    await leave();
  }
  const last = host();
  await last.guest.closeStdin(id, signal());
  expect(await output(last.guest, id)).toBe("got 0\ngot 1\ngot 2\ngot 3\ngot 4\n");
});

test("a connection lost while nothing is under way is made again by the next call", async () => {
  const { guest, attachments } = host();
  expect((await sh(guest, "echo one")).out).toBe("one\n");
  const closed = new Promise((resolve) => attachments[0]?.once("close", resolve));
  attachments[0]?.destroy();
  await closed;
  expect((await sh(guest, "echo two")).out).toBe("two\n");
  expect(attachments).toHaveLength(2);
});

test("an agent that doesn't answer, and an engine that doesn't attach, are unreachable", async () => {
  const silent = attachedDial({ attach: async () => new PassThrough(), key: agent.key, timeoutMs: 50 });
  const refused = attachedDial({
    attach: () => Promise.reject(Object.assign(new Error("no such container"), { statusCode: 404 })),
    key: agent.key,
  });
  // It has another key: to the agent that is nobody.
  const stranger = attachedDial({ attach: agent.attach, key: randomBytes(16), timeoutMs: 300 });
  for (const { dial, close } of [silent, refused, stranger]) {
    const guest = connectGuest({ dial, label: "attached", multiplexed: true });
    await expect(guest.ready(signal())).rejects.toMatchObject(unreachable);
    await expect(sh(guest, "true")).rejects.toMatchObject(unreachable);
    close();
  }
});

test("one slow reader holds up nobody, and bytes arrive whole beside each other", async () => {
  const { guest } = host();
  await sh(guest, "head -c 30000000 /dev/urandom > /tmp/random");
  const sum = (await sh(guest, "sha256sum < /tmp/random")).out.slice(0, 64);
  const stalled = await guest.readFile("/tmp/random", {}, signal());
  const reads = Array.from({ length: 8 }, async () => {
    const hash = createHash("sha256");
    for await (const part of (await guest.readFile("/tmp/random", {}, signal())).body) hash.update(part);
    return hash.digest("hex");
  });
  const writes = Array.from({ length: 4 }, async (_, at) => {
    const bytes = content(5_000_000 + at);
    await guest.writeFile(`/tmp/written-${at}`, Readable.from([bytes]), {}, signal());
    return (await contentOf(await guest.readFile(`/tmp/written-${at}`, {}, signal()))).equals(bytes);
  });
  expect(await Promise.all(reads)).toEqual(reads.map(() => sum));
  expect(await Promise.all(writes)).toEqual([true, true, true, true]);
  stalled.body.discard();
});

test("what programs inside print to the agent's own descriptors is never between frames", async () => {
  const { guest } = host();
  await sh(guest, "for fd in 0 1 2; do echo forged >/proc/1/fd/$fd; done 2>/dev/null");
  expect((await sh(guest, "echo whole")).out).toBe("whole\n");
  expect(agent.console()).toBe("");
});

/** The attachment until so many bytes were written to it. */
const cutAfter = (attachment: Duplex, bytes: number): Duplex => {
  let left = bytes;
  const cut = new Duplex({
    read: () => attachment.resume(),
    write: (chunk: Buffer, _, done) => {
      const part = chunk.subarray(0, left);
      left -= part.length;
      attachment.write(part, () => (left > 0 ? done() : cut.destroy()));
    },
    destroy: (error, done) => {
      attachment.destroy();
      done(error);
    },
  });
  attachment.on("data", (part: Buffer) => cut.push(part)).on("close", () => cut.destroy());
  return cut;
};

/** A host of its own process, busy with an endless upload; resolves once that is under way. */
const busyHost = async ({ enginePath, key }: AttachedAgent, path: string): Promise<ChildProcess> => {
  const program = `
    import { connect } from "node:net";
    import { Readable } from "node:stream";
    import { connectGuest } from ${JSON.stringify(import.meta.resolve("../../guest/agent/connect-guest.ts"))};
    import { attachedDial } from ${JSON.stringify(import.meta.resolve("./attached-dial.ts"))};
    const attach = () => new Promise((resolve) => { const socket = connect(${JSON.stringify(enginePath)}, () => resolve(socket)); });
    const { dial } = attachedDial({ attach, key: Buffer.from("${key.toString("hex")}", "hex") });
    const guest = connectGuest({ dial, label: "victim", multiplexed: true });
    let sent = 0;
    const endless = new Readable({ read() { sent += 50000; if (sent === 5000000) console.log("busy"); this.push(Buffer.alloc(50000, "x")); } });
    await guest.writeFile(${JSON.stringify(path)}, endless, {}, new AbortController().signal);`;
  const child = spawn(process.execPath, ["--conditions=source", "--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise<void>((resolve, reject) => {
    child.once("exit", () => reject(new Error("the victim ended by itself")));
    child.stdout.once("data", () => resolve());
  });
  return child;
};
