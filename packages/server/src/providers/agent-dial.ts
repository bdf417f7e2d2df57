import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import type { Dial } from "../guest/guest.ts";

/** Where an agent listens, as the host program tells it. */
export interface AgentAddress {
  readonly socket_path: string;
  /** The socket lies where the sandbox can put a link in its place. */
  readonly guest_made: boolean;
}

/** Linux's O_PATH: finds a name, and does nothing to what it names. */
const openPath = 0o10000000;
/** A path that nothing has. */
const nowhere = "/proc/self/fd/none";

/** How streams to an agent are opened. One that lies where the sandbox can change it is never reached through a link. */
export const agentDial =
  ({ socket_path: path, guest_made: guestMade }: AgentAddress): Dial =>
  (onread) => {
    const open = (name: string): Socket => connect({ path: name, ...(onread === undefined ? {} : { onread }) });
    return guestMade ? connectUnlinked(path, open) : open(path);
  };

const connectUnlinked = (path: string, open: (name: string) => Socket): Socket => {
  const found = findSocket(path);
  // As where there is no agent: what waits for the connection is told in the usual way.
  if (found === undefined) return open(nowhere);
  const socket = open(`/proc/self/fd/${found}`);
  // Held until the connection has been made or refused: the number must not come to mean another file.
  const release = (): void => {
    socket.off("connect", release).off("close", release);
    closeSync(found);
  };
  return socket.once("connect", release).once("close", release);
};

/** A descriptor that stands for the socket itself, for as long as it is open. */
const findSocket = (path: string): number | undefined => {
  let found: number;
  try {
    found = openSync(path, openPath | constants.O_NOFOLLOW);
  } catch {
    return undefined; // gone
  }
  if (fstatSync(found).isSocket()) return found;
  closeSync(found);
  return undefined;
};
