import { lstatSync } from "node:fs";
import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StacyError } from "@stacyvm/contract";
import type { Dial } from "../../guest/guest.ts";
import { agentDial } from "../agent-dial.ts";

/** Milliseconds until the second look for a new agent's socket; the pauses grow with the time that it takes. */
const lookMs = 3;
/** The part of the time waited so far that the next pause is. */
const lookShare = 0.05;
const socketName = "agent.sock";

/**
 * A directory for each sandbox, shown inside, in which its agent makes its socket. Only the server's own user passes
 * the directory above them. While the agent starts, its user, whoever that is on the host, may write in its own; from
 * then on nobody but the server: nothing of the sandbox's can be put there, the socket can't be replaced, and the host's
 * disk can't be filled that way.
 */
export const doors = (directory: string) => {
  const at = (sandboxId: string): string => join(directory, sandboxId);
  const dial = (sandboxId: string): Dial =>
    agentDial({ socket_path: join(at(sandboxId), socketName), guest_made: true });

  return {
    path: at,
    dial,
    /** Before the container is made; clears what one of the same id left. */
    async prepare(sandboxId: string): Promise<void> {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await chmod(directory, 0o700);
      await rm(at(sandboxId), { recursive: true, force: true });
      await mkdir(at(sandboxId));
      await chmod(at(sandboxId), 0o777);
    },
    /** Resolves when the agent listens. */
    async opened(sandboxId: string, signal: AbortSignal): Promise<void> {
      const socket = join(at(sandboxId), socketName);
      const startedAt = performance.now();
      for (;;) {
        signal.throwIfAborted();
        // In this thread: many sandboxes that start at once would keep the others busy with nothing.
        const found = lstatSync(socket, { throwIfNoEntry: false });
        if (found?.isSocket() && (await answers(dial(sandboxId)))) return;
        await delay(lookMs + lookShare * (performance.now() - startedAt), undefined, { signal });
      }
    },
    /** Once the agent has answered, before the first program of the sandbox's runs. Throws what must not be. */
    async seal(sandboxId: string): Promise<void> {
      await chmod(at(sandboxId), 0o755);
      const names = await readdir(at(sandboxId));
      if (names.length === 1 && names[0] === socketName) return;
      throw new StacyError("spawn_failed", `the agent of ${sandboxId} left more than its socket in its directory`);
    },
    /** Ids of the sandboxes that have one. */
    async list(): Promise<readonly string[]> {
      return await readdir(directory).catch(() => []);
    },
    /** Idempotent. */
    async remove(sandboxId: string): Promise<void> {
      await rm(at(sandboxId), { recursive: true, force: true });
    },
  };
};

export type Doors = ReturnType<typeof doors>;

const answers = (dial: Dial): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = dial();
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
