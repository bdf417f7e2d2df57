import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import type { GuestPort } from "../../guest/guest-ports.ts";
import { type ProviderSuite, placeProbe, sh, shell, signal, until } from "./suite.testing.ts";

/** Starts a program for each connection to the address, and resolves to the listener once it stands. */
const listening = async (
  suite: ProviderSuite,
  guest: Guest,
  address: string,
  script: string,
): Promise<{ readonly id: string; readonly listed: GuestPort }> => {
  const argv = [await placeProbe(suite, guest), "listen", address, ...shell(script)];
  const { id } = await guest.processes.start(`pr-${randomBytes(8).toString("hex")}`, { argv }, signal());
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  const found = await until(
    async () => (await guest.ports.list(signal())).find((one) => one.port === port),
    (one) => one !== undefined,
  );
  if (found === undefined) throw new Error(`nothing listens on ${address}`);
  return { id, listed: found };
};

/** Until the program has said all, or the connection is gone. */
const everything = (connection: Duplex): Promise<Buffer> =>
  new Promise((resolve) => {
    const parts: Buffer[] = [];
    const done = (): void => resolve(Buffer.concat(parts));
    connection
      .on("data", (part: Buffer) => parts.push(part))
      .once("end", done)
      .once("close", done)
      .on("error", () => {});
  });

/** How many connections to the port somebody holds the near end of: what is left of others has no inode. */
const held = async (guest: Guest, port: number): Promise<number> => {
  const { out } = await sh(guest, "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null");
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const sockets = out.split("\n").map((line) => line.trim().split(/\s+/));
  return sockets.filter((fields) => fields[2]?.endsWith(remote) && fields[9] !== "0").length;
};

const hasIpv6 = async (guest: Guest): Promise<boolean> =>
  /^0{31}1 /m.test((await sh(guest, "cat /proc/net/if_inet6 2>/dev/null")).out);

/** Programs that listen inside, and connections to them. */
export const portsContract = (suite: ProviderSuite): void => {
  suite.each(
    "leads to a program's port on either loopback: every byte, and each end's end alone",
    async ({ guest }) => {
      const addresses = ["127.0.0.1:4001", ...((await hasIpv6(guest)) ? ["[::1]:4002"] : [])];
      for (const address of addresses) {
        await listening(suite, guest, address, "printf first; exec >&-; wc -c >/tmp/got; mv /tmp/got /tmp/all");
        const port = Number(address.slice(-4));
        const theirs = await guest.ports.dial(port, signal());
        expect((await everything(theirs)).toString(), address).toBe("first");
        theirs.end(randomBytes(300_000));
        const counted = async () => (await sh(guest, "cat /tmp/all && rm /tmp/all")).out.trim();
        expect(await until(counted, (count) => count !== "")).toBe("300000");
      }
      await listening(suite, guest, "127.0.0.1:4003", "cat; printf bye");
      const ours = await guest.ports.dial(4003, signal());
      const sent = randomBytes(3_000_000);
      ours.end(sent);
      const got = await everything(ours);
      expect(got.subarray(sent.length).toString()).toBe("bye");
      expect(got.subarray(0, sent.length).equals(sent)).toBe(true);
    },
  );

  suite.each("says that nothing listens, and dials for nobody who has left", async ({ guest }) => {
    await expect(guest.ports.dial(4010, signal())).rejects.toMatchObject({ reason: "port_refused" });
    await listening(suite, guest, "127.0.0.1:4011", "exec cat");
    const left = new Error("the caller left");
    await expect(guest.ports.dial(4011, AbortSignal.abort(left))).rejects.toBe(left);
    const leaving = new AbortController();
    const going = guest.ports.dial(4011, leaving.signal);
    leaving.abort(left);
    await expect(going).rejects.toBe(left);
    expect(
      await until(
        () => held(guest, 4011),
        (count) => count === 0,
      ),
    ).toBe(0);
  });

  suite.each("ends a connection whose program dies in the middle, and lists its port no more", async ({ guest }) => {
    await listening(suite, guest, "127.0.0.1:4020", "head -c 100000 /dev/zero; kill -9 $PPID");
    const connection = await guest.ports.dial(4020, signal());
    connection.write("nobody reads this");
    expect((await everything(connection)).length).toBeLessThanOrEqual(100_000);
    connection.destroy();
    const listed = async () => (await guest.ports.list(signal())).some(({ port }) => port === 4020);
    expect(await until(listed, (there) => !there)).toBe(false);
    await expect(guest.ports.dial(4020, signal())).rejects.toMatchObject({ reason: "port_refused" });
  });

  suite.each("frees a connection that its caller leaves, though the program holds its end", async ({ guest }) => {
    await listening(suite, guest, "127.0.0.1:4030", "exec sleep 67");
    const connections = await Promise.all([1, 2, 3].map(() => guest.ports.dial(4030, signal())));
    connections[0]?.write("the program never reads");
    connections[1]?.end();
    expect(
      await until(
        () => held(guest, 4030),
        (count) => count === 3,
      ),
    ).toBe(3);
    for (const connection of connections) connection.destroy();
    expect(
      await until(
        () => held(guest, 4030),
        (count) => count === 0,
      ),
    ).toBe(0);
  });

  suite.each("lists who listens where, as which process", async ({ guest }) => {
    const { id, listed } = await listening(suite, guest, "127.0.0.1:4040", "exec cat");
    const { pid } = await guest.processes.get(id, signal());
    expect(listed).toEqual({ port: 4040, address: "127.0.0.1", pid, command: "wall-probe" });
    await guest.signalProcess(id, 9, true, signal());
    const ports = async () => (await guest.ports.list(signal())).map(({ port }) => port);
    expect(await until(ports, (all) => !all.includes(4040))).not.toContain(4040);
  });
};
