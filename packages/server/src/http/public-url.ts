import { timingSafeEqual } from "node:crypto";
import { request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { nonce } from "../lib/id.ts";
import { proofOfServer } from "./handlers/session.ts";

/** How long the server waits for its own answer by its public address, milliseconds. */
const publicUrlTimeoutMs = 10_000;

interface SeenAnswer {
  readonly status: number;
  readonly proof: string;
}

/** Names under `localhost` are this machine, which not every resolver knows. */
const addressOf = (hostname: string): string =>
  hostname.endsWith(".localhost") ? "127.0.0.1" : hostname.replace(/^\[(.*)\]$/, "$1");

const ask = (url: URL, challenge: string, signal: AbortSignal): Promise<SeenAnswer> =>
  new Promise((resolve, reject) => {
    const request = url.protocol === "https:" ? secureRequest : plainRequest;
    const options = {
      host: addressOf(url.hostname),
      port: url.port,
      path: url.pathname,
      headers: { host: url.host, "X-StacyVM-Challenge": challenge },
      ...(url.hostname.endsWith(".localhost") ? { servername: url.hostname } : {}),
      signal,
    };
    request(options, (answer) => {
      answer.resume();
      answer.once("error", reject);
      const proof = answer.headers["x-stacyvm-proof"];
      answer.once("end", () =>
        resolve({ status: answer.statusCode ?? 0, proof: typeof proof === "string" ? proof : "" }),
      );
    })
      .once("error", reject)
      .end();
  });

/** Why a server's public address doesn't lead to it, or to another that uses its database; undefined where it does. */
export const whyNotReached = async (
  publicUrl: string,
  storeId: string,
  signal: AbortSignal,
): Promise<string | undefined> => {
  const challenge = nonce().toString("hex");
  const url = new URL(`${publicUrl.replace(/\/+$/, "")}/api/v1/session`);
  try {
    const either = AbortSignal.any([signal, AbortSignal.timeout(publicUrlTimeoutMs)]);
    const { status, proof } = await ask(url, challenge, either);
    const [expected, given] = [Buffer.from(proofOfServer(storeId, challenge)), Buffer.from(proof)];
    if (expected.length === given.length && timingSafeEqual(expected, given)) return undefined;
    if (proof !== "") return "another StacyVM server answers there";
    return `what answers there is not this server: ${url.href} gave status ${status}`;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `nothing answers there: ${code ?? message}`;
  }
};
