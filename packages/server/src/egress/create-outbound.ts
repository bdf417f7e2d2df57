import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ProxyAgent, type RequestInit, fetch as undiciFetch } from "undici";
import type { Config } from "../config/schema.ts";
import { forwardUser } from "../lib/gateway-user.ts";
import type { Outbound } from "../lib/outbound.ts";
import { networksOf } from "./networks.ts";

export interface OutboundOptions {
  readonly config: Pick<Config["network"], "resolvers" | "open">;
  readonly nativeDir: string;
  /** Of running sandboxes. */
  readonly stateDir: string;
  /** Addresses that the operator wrote for the server's own requests; their hosts may be anywhere. Empty ones are none. */
  readonly known: readonly string[];
}

interface Running {
  /** With its password. */
  readonly address: string;
  readonly agent: ProxyAgent;
  end(): Promise<void>;
}

/** Asks through `stacyvm-egress forward`: one for each program, and one for requests, from the first of them on. */
export function createOutbound({ config, nativeDir, stateDir, known }: OutboundOptions): Outbound {
  const program = join(nativeDir, "stacyvm-egress");
  const told = (hosts: readonly string[]) => ({
    STACYVM_FORWARD: JSON.stringify({ ...networksOf(config), known: hosts }),
  });
  let running: Promise<Running> | undefined;

  const run = async (): Promise<Running> => {
    const user = process.geteuid?.() === 0 ? forwardUser(stateDir) : undefined;
    const child = spawn(program, ["forward"], {
      stdio: ["pipe", "pipe", "pipe"],
      cwd: "/",
      // Ctrl-C in the server's terminal is for the server, which ends it.
      detached: true,
      env: told(known.filter((url) => url !== "").map(authorityOf)),
      ...(user === undefined ? {} : { uid: user, gid: user }),
    });
    const ended = new Promise<void>((resolve) => {
      child.once("close", () => resolve()).once("error", () => resolve());
    });
    void ended.then(() => {
      running = undefined;
    });
    child.stdin.on("error", () => {}); // shows as its end
    let lastWords = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-lastWordsMax);
    });
    const lines = createInterface({ input: child.stdout });
    const [address] = (await Promise.race([once(lines, "line"), ended.then(() => [])])) as [string?];
    if (address === undefined) throw new Error(`the proxy of the server's requests has ended: ${lastWords.trim()}`);
    return {
      address,
      agent: new ProxyAgent(address),
      async end() {
        child.stdin.end();
        child.kill("SIGKILL");
        await ended;
      },
    };
  };
  const proxy = (): Promise<Running> => {
    running ??= run();
    return running;
  };

  return {
    fetch: (async (input: string | URL, init?: RequestInit) => {
      const { agent } = await proxy();
      return await undiciFetch(input, { ...init, dispatcher: agent });
    }) as typeof fetch,
    confine: (argv, { known, proxies }) => ({
      argv: [program, "forward", ...argv],
      env: { ...proxies, ...told(known) },
    }),
    async isInternal(authority, signal) {
      const { hostname, port, username, password } = new URL((await proxy()).address);
      const credentials = Buffer.from(`${username}:${password}`).toString("base64");
      const asking = request({
        ...{ host: hostname, port, method: "CONNECT", path: authority, signal, agent: false },
        headers: { "proxy-authorization": `Basic ${credentials}`, "stacyvm-only": "address" },
      });
      const [answer, socket] = await once(asking.end(), "connect");
      socket.destroy();
      return answer.statusCode === 403;
    },
    async [Symbol.asyncDispose]() {
      const last = await running?.catch(() => undefined);
      await last?.end();
      await last?.agent.destroy();
    },
  };
}

const lastWordsMax = 4_096;

/** The host and port of an address, for example login.example:443. */
const authorityOf = (address: string): string => {
  const { protocol, hostname, port } = new URL(address);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
};
