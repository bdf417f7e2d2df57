import { readFileSync } from "node:fs";
import { sendJson, serve, type TestServer } from "./server.ts";

export interface Exchange {
  readonly name: string;
  readonly request: { readonly method: string; readonly path: string; readonly body?: Record<string, unknown> };
  readonly response: { readonly status: number; readonly json?: unknown; readonly text?: string };
}

/** Requests and answers recorded from a running server. */
export const exchanges = JSON.parse(
  readFileSync(new URL("data/exchanges.json", import.meta.url), "utf8"),
) as readonly Exchange[];

/** The JSON that a recorded answer held. */
export function answerOf(name: string): never {
  const found = exchanges.find((exchange) => exchange.name === name);
  if (found === undefined) throw new Error(`no exchange named ${name}`);
  return (found.response.json ?? found.response.text) as never;
}

const sameAddress = (a: string, b: string): boolean => {
  const [left, right] = [new URL(a, "http://x"), new URL(b, "http://x")];
  // Servers of the recordings don't read it.
  right.searchParams.delete("view");
  return left.pathname === right.pathname && left.searchParams.toString() === right.searchParams.toString();
};

/**
 * Answers with the one exchange whose name is given, and only to its request: another method, address or body gets a
 * 500. A body may say more than the recorded one did.
 */
export const replay = (name: string): Promise<TestServer> =>
  serve((received, response) => {
    const exchange = exchanges.find((candidate) => candidate.name === name);
    const body = received.body.length === 0 ? {} : JSON.parse(received.body.toString());
    const expected = Object.entries(exchange?.request.body ?? {});
    const matches =
      exchange !== undefined &&
      exchange.request.method === received.method &&
      sameAddress(exchange.request.path, received.url) &&
      expected.every(([key, value]) => JSON.stringify(body[key]) === JSON.stringify(value));
    if (!matches) {
      return sendJson(
        response,
        { code: "UNEXPECTED", message: `${received.method} ${received.url} ${received.body}` },
        500,
      );
    }
    const { status, json, text } = exchange.response;
    if (text !== undefined) response.writeHead(status).end(text);
    else sendJson(response, json, status);
  });
