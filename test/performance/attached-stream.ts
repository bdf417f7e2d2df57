/** The attached stream alone: `node --conditions=source test/performance/attached-stream.ts`, as root. Prints its figures. */
import { Readable } from "node:stream";
import { connectGuest } from "../../packages/server/src/guest/agent/connect-guest.ts";
import type { Guest } from "../../packages/server/src/guest/guest.ts";
import { attachedDial } from "../../packages/server/src/providers/attached-stream/attached-dial.ts";
import { attachedAgent } from "../../packages/server/src/providers/attached-stream/engine.testing.ts";
import { dockerUnderTest } from "../../packages/server/src/providers/docker/docker-provider.testing.ts";
import { sandboxSpec } from "../../packages/server/src/providers/sandbox-spec.testing.ts";
import { rounded, timed, timesOf } from "./figures.ts";

const mib = 1024 * 1024;
const sizeMib = 256;
const execs = 500;
const never = new AbortController().signal;

/** Best of three, MB/s. */
const pace = async (move: () => Promise<number>): Promise<number> => {
  let best = 0;
  for (let round = 0; round < 3; round++) {
    let moved = 0;
    const { ms } = await timed(async () => {
      moved = await move();
    });
    if (moved !== sizeMib * mib) throw new Error(`${moved} bytes came`);
    best = Math.max(best, moved / 1000 / ms);
  }
  return rounded(best, 0);
};

const figuresOf = async (guest: Guest) => {
  const times: number[] = [];
  for (let at = 0; at < execs + 100; at++) {
    const { ms } = await timed(() => guest.run({ argv: ["/bin/true"], maxOutputBytes: 1000 }, never));
    if (at >= 100) times.push(ms);
  }
  const argv = ["/bin/dd", "if=/dev/zero", "bs=64k", `count=${sizeMib * 16}`];
  const out = await pace(async () => {
    let bytes = 0;
    for await (const event of guest.exec({ argv }, never)) {
      if (event.type === "output" && event.stream === "stdout") bytes += event.data.length;
    }
    return bytes;
  });
  const block = Buffer.alloc(mib, "x");
  const up = await pace(async () => {
    const content = Readable.from(Array.from({ length: sizeMib }, () => block));
    await guest.writeFile("/tmp/file", content, {}, never);
    return (await guest.stat("/tmp/file", never)).sizeBytes;
  });
  const down = await pace(async () => {
    let bytes = 0;
    for await (const part of (await guest.readFile("/tmp/file", {}, never)).body) bytes += part.length;
    return bytes;
  });
  return { exec_true: timesOf(times), stdout_mb_s: out, file_up_mb_s: up, file_down_mb_s: down };
};

{
  const agent = await attachedAgent();
  const { dial, close } = attachedDial({ attach: agent.attach, key: agent.key });
  const guest = connectGuest({ dial, label: "attached", multiplexed: true });
  console.log("pipes and a unix socket", await figuresOf(guest));
  await guest[Symbol.asyncDispose]();
  close();
  await agent.close();
}
for (const tcp of [true, false]) {
  const under = await dockerUnderTest({ tcp });
  const provider = under.open();
  const spec = {
    id: "sb-0123456789abcdef",
    image: undefined,
    imageReference: "busybox",
    security: "restricted",
  } as const;
  const runtime = await provider.spawn(sandboxSpec({ ...spec, memoryMb: 3000 }), never);
  console.log(
    tcp ? "a Docker engine over TLS, attached stream" : "a Docker engine, sockets",
    await figuresOf(runtime.guest),
  );
  await runtime.destroy(never);
  await under.close();
}
