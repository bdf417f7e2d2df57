import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import pino from "pino";
import { expect, test } from "vitest";
import { startServer } from "../e2e/server.ts";

const collected = () => {
  const lines: { msg: string; why?: string }[] = [];
  return { lines, log: pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) }) };
};

const complaint = "server.public_url does not lead to this server";

/** A proxy that passes what it is asked on to an address that is known later; nobody is at an empty one. */
const front = async () => {
  const target = Promise.withResolvers<string>();
  const answered = Promise.withResolvers<void>();
  const proxy = createServer(async (request, response) => {
    response.once("close", () => answered.resolve());
    const to = await target.promise;
    if (to === "") {
      response.writeHead(502).end();
      return;
    }
    const challenge = String(request.headers["x-stacyvm-challenge"]);
    const answer = await fetch(to + request.url, { headers: { "x-stacyvm-challenge": challenge } });
    response.writeHead(answer.status, { "x-stacyvm-proof": answer.headers.get("x-stacyvm-proof") ?? "" });
    response.end(await answer.text());
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://app.localhost:${(proxy.address() as AddressInfo).port}`,
    answered: answered.promise,
    leadTo: target.resolve,
    async [Symbol.asyncDispose]() {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
};

test("a public address that leads elsewhere is told in the log at start, with what answers there", async () => {
  await using other = await startServer();
  for (const [target, why] of [
    ["", "what answers there is not this server: URL/api/v1/session gave status 502"],
    [other.url, "another StacyVM server answers there"],
  ] as const) {
    await using proxy = await front();
    proxy.leadTo(target);
    const { lines, log } = collected();
    await using _server = await startServer({ config: { "server.public_url": proxy.url }, log });
    const told = () => lines.filter(({ msg }) => msg === complaint).map((line) => line.why);
    await expect.poll(told).toEqual([why.replace("URL", proxy.url)]);
  }
  const { lines, log } = collected();
  await using _closed = await startServer({ config: { "server.public_url": "http://127.0.0.1:1" }, log });
  await expect.poll(() => lines.find(({ msg }) => msg === complaint)?.why).toBe("nothing answers there: ECONNREFUSED");
});

test("a public address that leads here, by whatever proxy, is asked and nothing said", async () => {
  await using proxy = await front();
  const { lines, log } = collected();
  const server = await startServer({ config: { "server.public_url": proxy.url }, log });
  proxy.leadTo(server.url);
  await proxy.answered;
  await server[Symbol.asyncDispose]();
  expect(lines.map(({ msg }) => msg)).not.toContain(complaint);
});
