import { type IncomingMessage, request } from "node:http";
import WebSocket from "ws";
import type { Headers } from "./world.ts";

/** An answer that goes on. */
export interface OpenAnswer {
  /** All that came. */
  readonly text: () => string;
  /** How it ended: `end` or `cut`, a WebSocket with its code and reason, an answer that never began with its status. */
  readonly ended: Promise<string>;
  leave(): void;
}

export interface Asked {
  readonly method?: string;
  readonly body?: object;
  /** Undefined: nothing is awaited. */
  readonly until: string | undefined;
}

/** Asks, and resolves when the answer has said the word. */
export const openAnswer = (
  url: string,
  headers: Headers,
  { method = "GET", body, until }: Asked,
): Promise<OpenAnswer> => {
  const said = Promise.withResolvers<OpenAnswer>();
  const ended = Promise.withResolvers<string>();
  let text = "";
  const asked = request(url, { method, headers, agent: false });
  const open = { text: () => text, ended: ended.promise, leave: () => void asked.destroy() };
  const read = (answer: IncomingMessage): void => {
    answer.on("data", (part: Buffer) => {
      text += part.toString("latin1");
      if (until !== undefined && text.includes(until)) said.resolve(open);
    });
    answer.once("close", () => {
      const refused = (answer.statusCode ?? 0) >= 400 ? `${answer.statusCode}` : "end";
      ended.resolve(answer.complete ? refused : "cut");
      said.reject(new Error(`${answer.statusCode} ${text}`));
    });
    answer.on("error", () => {});
  };
  asked.once("response", read);
  asked.once("upgrade", (_answer, socket, head) => {
    const take = (part: Buffer): void => {
      text += part.toString("latin1");
      if (until !== undefined && text.includes(until)) said.resolve(open);
    };
    take(head);
    socket.on("data", take);
    socket.on("error", () => {});
    socket.once("close", () => ended.resolve("cut"));
  });
  asked.on("error", (error) => said.reject(error));
  if (until === undefined) asked.once("finish", () => said.resolve(open));
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  return said.promise;
};

/** Opens a WebSocket, and resolves when it has said the word. */
export const openSocket = (url: string, headers: Headers, first: string | Buffer | undefined, until: string) => {
  const said = Promise.withResolvers<OpenAnswer>();
  const ended = Promise.withResolvers<string>();
  const socket = new WebSocket(url.replace("http", "ws"), { headers });
  let text = "";
  const open = { text: () => text, ended: ended.promise, leave: () => socket.terminate() };
  socket.once("open", () => first !== undefined && socket.send(first, { binary: typeof first !== "string" }));
  socket.on("message", (data: Buffer) => {
    text += data.toString("latin1");
    if (text.includes(until)) said.resolve(open);
  });
  socket.once("close", (code, reason) => {
    ended.resolve(`${code} ${reason.toString()}`);
    said.reject(new Error(`closed with ${code}: ${text}`));
  });
  socket.on("error", (error) => said.reject(error));
  return said.promise;
};
