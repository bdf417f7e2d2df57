import type { Duplex } from "node:stream";
import { StacyError } from "@stacyvm/contract";
import type { Dial } from "../../guest/guest.ts";
import { lostStream, Session } from "./session.ts";
import { StreamSocket } from "./stream-socket.ts";

/** How long an attachment may take until the agent answers over it, milliseconds. */
const attachTimeoutMs = 10_000;

export interface AttachedDialOptions {
  /**
   * A fresh attachment to the agent's first process: what is written goes to its stdin, what is read comes from its
   * stdout. It may begin with what was meant for another.
   */
  readonly attach: (signal: AbortSignal) => Promise<Duplex>;
  /** 16 bytes; the same for every attachment to one sandbox, and known to nobody inside or to its users. */
  readonly key: Uint8Array;
  readonly timeoutMs?: number;
}

interface Attachment {
  readonly session: Promise<Session>;
  begun?: Session;
}

export interface AttachedDial {
  readonly dial: Dial;
  /** Ends every connection; those dialled later fail. */
  close(): void;
}

/**
 * Connections to an agent that has one byte stream for all of them. The first dial attaches, as does the first after a
 * loss; attaching ends whatever another host has open. Failures are guest_unreachable.
 */
export const attachedDial = ({ attach, key, timeoutMs = attachTimeoutMs }: AttachedDialOptions): AttachedDial => {
  const closing = new AbortController();
  let current: Attachment | undefined;

  const begin = async (over: () => void): Promise<Session> => {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const session = new Session({ attachment: await attach(signal), key, over });
      await session.begin(signal);
      return session;
    } catch (error) {
      over();
      throw error instanceof StacyError ? error : lostStream("nothing attaches to it", error);
    }
  };
  const session = (): Promise<Session> => {
    if (closing.signal.aborted) return Promise.reject(lostStream("it was closed"));
    if (current !== undefined) return current.session;
    const mine: Attachment = {
      session: begin(() => {
        if (current === mine) current = undefined;
      }).then((begun) => {
        mine.begun = begun;
        return begun;
      }),
    };
    current = mine;
    return mine.session;
  };

  return {
    dial: (onread) => new StreamSocket(session(), onread),
    close: () => {
      closing.abort();
      current?.begun?.fail(lostStream("it was closed"));
    },
  };
};
