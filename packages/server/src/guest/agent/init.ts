import http from "node:http";
import { StacyError } from "@stacyvm/contract";
import { z } from "zod";
import type { GuestSettings } from "../guest.ts";
import { agentText, guestFailure } from "./failures.ts";
import { readAtMost } from "./read-at-most.ts";

/** Longest answer about settings that were refused, bytes. */
const refusalMaxBytes = 4096;

const Refusal = z.object({ message: z.string() });

/** Gives an agent what every process that it will start has. Throws invalid_input, disk_full or guest_protocol. */
export async function configureAgent(
  connections: http.Agent,
  { env, user, workdir }: GuestSettings,
  signal: AbortSignal,
): Promise<void> {
  if (env === undefined && user === undefined && workdir === undefined) return;
  const body = JSON.stringify({
    ...(env === undefined ? {} : { envVars: env }),
    ...(user === undefined ? {} : { defaultUser: user }),
    ...(workdir === undefined ? {} : { defaultWorkdir: workdir, prepareWorkdir: true }),
  });
  try {
    const response = await send(connections, body, signal);
    const answer = await readAtMost(response, refusalMaxBytes);
    const { statusCode: status = 0 } = response;
    if (status === 204) return;
    if (status >= 400 && status < 500) throw new StacyError("invalid_input", `invalid input: ${messageOf(answer)}`);
    if (status === 507) throw new StacyError("disk_full", messageOf(answer));
    throw new StacyError("guest_protocol", `the sandbox's agent refused its settings with status ${status}`);
  } catch (error) {
    throw guestFailure(error, signal);
  }
}

const send = (connections: http.Agent, body: string, signal: AbortSignal): Promise<http.IncomingMessage> =>
  new Promise((resolve, reject) => {
    const request = http.request({
      agent: connections,
      host: "agent",
      method: "POST",
      path: "/init",
      signal,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    });
    request.on("error", reject);
    request.on("response", resolve);
    request.end(body);
  });

function messageOf(answer: Buffer): string {
  try {
    return agentText(Refusal.parse(JSON.parse(answer.toString("utf8"))).message);
  } catch (cause) {
    throw new StacyError("guest_protocol", "the sandbox's agent refused its settings without a reason", { cause });
  }
}
