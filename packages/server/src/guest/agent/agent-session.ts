import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Dial } from "../guest.ts";

export interface AgentSessionOptions {
  /** Origin of every request. */
  readonly authority: string;
  readonly dial: Dial;
  /** A session without calls is closed after this, milliseconds; the next call makes another. */
  readonly idleTimeoutMs: number;
}

/**
 * The multiplexed connection to an agent, made when it is needed. Whoever is at the other end may say anything at any
 * time: from its first moment on there is nothing that it can say to which nobody listens, for Node ends a program that
 * doesn't hear a session's error.
 */
export const agentSession = ({ authority, dial, idleTimeoutMs }: AgentSessionOptions) => {
  let current: Promise<ClientHttp2Session> | undefined;
  let aborted: unknown;

  const open = (): Promise<ClientHttp2Session> => {
    const session = connect(authority, { createConnection: () => dial() });
    let failure: unknown;
    session.on("error", (error) => {
      failure = error;
    });
    const opening = new Promise<ClientHttp2Session>((resolve, reject) => {
      session.once("connect", () => resolve(session));
      session.once("close", () => {
        if (current === opening) current = undefined;
        reject(new ConnectError("the session did not open", Code.Unavailable, undefined, undefined, failure));
      });
    });
    // An idle one must not keep the process.
    session.unref();
    session.setTimeout(idleTimeoutMs, () => {
      if (current === opening) current = undefined;
      session.close();
    });
    session.once("goaway", () => {
      if (current === opening) current = undefined;
    });
    return opening;
  };

  const usable = async (): Promise<ClientHttp2Session> => {
    if (aborted !== undefined) throw aborted;
    current ??= open();
    const session = await current;
    if (!session.closed && !session.destroyed) return session;
    throw new ConnectError("the session ended", Code.Unavailable);
  };

  return {
    authority,
    async request(method: string, path: string, headers: OutgoingHttpHeaders): Promise<ClientHttp2Stream> {
      const session = await usable();
      const stream = session.request({ ...headers, ":method": method, ":path": path });
      session.ref();
      stream.once("close", () => session.unref());
      return stream;
    },
    notifyResponseByteRead(): void {},
    /** Ends it, and every call with the reason; there is none after it. */
    abort(reason: Error): void {
      aborted = reason;
      current?.then(
        (session) => session.destroy(reason, constants.NGHTTP2_CANCEL),
        () => {},
      );
    },
  };
};
