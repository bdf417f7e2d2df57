import { chmodSync, chownSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { EgressDoor } from "../../egress/egress.ts";

export interface EgressRelaysOptions {
  /** Where a sandbox's socket is made, in a directory that nobody but the gateway passes. */
  readonly pathOf: (sandboxId: string) => string;
  /** The gateway's; this process's own where absent. */
  readonly user: number | undefined;
}

/** A connection to the sandbox's agent that the egress gateway's goes on through. */
export type OpenSlot = (signal: AbortSignal) => Promise<Duplex>;

/** Most connections of one sandbox that are carried at once: an attached stream has to leave some for calls. */
const relayedMax = 256;

/** Doors for the egress gateway to agents that only the server reaches. */
export const egressRelays = ({ pathOf, user }: EgressRelaysOptions) => {
  const opened = new Map<string, () => void>();

  const close = (sandboxId: string): void => {
    opened.get(sandboxId)?.();
    opened.delete(sandboxId);
  };

  return {
    /** Listens until it is closed. */
    open(sandboxId: string, openSlot: OpenSlot): EgressDoor {
      close(sandboxId);
      const path = pathOf(sandboxId);
      const closing = new AbortController();
      const carried = new Set<Socket>();
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => {
        near.on("error", () => {}); // shows as its end
        if (carried.size >= relayedMax) return void near.destroy();
        carried.add(near);
        near.once("close", () => carried.delete(near));
        openSlot(closing.signal).then(
          (far) => carry(near, far),
          () => near.destroy(),
        );
      });
      server.on("error", () => {}); // the gateway doesn't reach it, and goes on trying
      rmSync(path, { force: true });
      server.listen(path, () => {
        chmodSync(path, 0o600);
        if (user !== undefined) chownSync(path, user, user);
      });
      opened.set(sandboxId, () => {
        closing.abort();
        server.close();
        for (const near of carried) near.destroy();
      });
      return { path, guestMade: false, isRelayed: true };
    },
    close,
    [Symbol.dispose](): void {
      for (const sandboxId of [...opened.keys()]) close(sandboxId);
    },
  };
};

/** Both ways until both have ended; how a direction ended stands in what is carried. */
const carry = (near: Duplex, far: Duplex): void => {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    from.on("error", () => to.destroy());
    from.once("close", () => {
      if (!from.readableEnded) to.destroy();
    });
    from.pipe(to);
  }
};
