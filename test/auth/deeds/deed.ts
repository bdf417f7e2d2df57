import { errorCatalogue } from "@stacyvm/contract";
import WebSocket from "ws";
import type { CallerName, Headers, Reply, World } from "../world.ts";

/** One try of an operation: what it aims at was made for it, by an administrator, in tenant acme. */
export interface Try {
  readonly reply: Reply;
  /** Whether the reply tells of the thing, or the thing is no longer what it was. */
  readonly shows: boolean;
}

/** Tries an operation as somebody. */
export type Deed = (as: Headers, caller: CallerName) => Promise<Try>;

let count = 0;
/** A name that nothing else here has. */
export const unique = (): string => {
  count += 1;
  return `it-${count}`;
};

/** Asks as somebody. */
export type Send = (as: Headers) => Promise<Reply>;

/** What the reply to a WebSocket says: its status, or that of the failure that came by a message, and all that came. */
export const converse = (
  url: string,
  headers: Headers,
  first: string | Buffer | undefined,
  enough: (text: string) => boolean,
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace("http", "ws"), { headers });
    let text = "";
    socket.on("open", () => {
      if (first !== undefined) socket.send(first, { binary: typeof first !== "string" });
    });
    socket.on("message", (data: Buffer, binary) => {
      text += data.toString("latin1");
      const message = binary ? undefined : (JSON.parse(data.toString()) as { type?: string; reason?: string });
      if (message?.type === "error") {
        const reason = message.reason as keyof typeof errorCatalogue;
        resolve({ status: errorCatalogue[reason].status, text });
        socket.terminate();
      } else if (enough(text)) {
        resolve({ status: 101, text });
        socket.terminate();
      }
    });
    socket.on("unexpected-response", (_request, answer) => {
      resolve({ status: answer.statusCode ?? 0, text: "" });
      answer.resume();
      socket.terminate();
    });
    socket.on("close", () => resolve({ status: 101, text }));
    socket.on("error", reject);
  });

/** Reads a stream until it says the word, or for the reply where it is a refusal. */
export const streamed = async (
  url: string,
  headers: Headers,
  meanwhile: () => Promise<unknown>,
  words: readonly string[],
) => {
  const leave = new AbortController();
  const answer = await fetch(url, { headers, signal: leave.signal });
  if (answer.status !== 200) return { status: answer.status, text: await answer.text() };
  let text = "";
  const decoder = new TextDecoder();
  let started = false;
  for await (const part of answer.body ?? []) {
    text += decoder.decode(part, { stream: true });
    if (!started) await meanwhile();
    started = true;
    if (words.some((word) => text.includes(word))) break;
  }
  leave.abort();
  return { status: answer.status, text };
};

/** Ways to try something and to see whether it shows. */
export const ways = ({ send }: Pick<World, "send">) => {
  /** The reply tells the word. */
  const tells = async (as: Headers, word: string, ask: Send): Promise<Try> => {
    const reply = await ask(as);
    return { reply, shows: reply.text.includes(word) };
  };
  /** What an administrator sees of it is not what it was. */
  const changes = async (as: Headers, look: () => Promise<unknown>, ask: Send): Promise<Try> => {
    const before = JSON.stringify(await look());
    const reply = await ask(as);
    return { reply, shows: JSON.stringify(await look()) !== before };
  };
  const get =
    (path: string, word: string): Deed =>
    (as) =>
      tells(as, word, (who) => send(who, "GET", path));
  const serves =
    (method: string, path: string, body?: object): Deed =>
    async (as) => {
      const reply = await send(as, method, path, body);
      return { reply, shows: reply.status < 300 };
    };
  const headed =
    (path: () => Promise<string>): Deed =>
    async (as) => {
      const reply = await send(as, "HEAD", await path());
      return { reply, shows: reply.status === 200 };
    };
  return { tells, changes, get, serves, headed };
};
