import http from "node:http";
import { StacyError } from "@stacyvm/contract";
import { guestFailure } from "./failures.ts";

/** Gives an agent the environment of every process that it will start. Throws guest_protocol when it refuses. */
export async function configureAgent(
  connections: http.Agent,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const body = JSON.stringify({ envVars: env });
  try {
    const status = await new Promise<number>((resolve, reject) => {
      const request = http.request({
        agent: connections,
        host: "agent",
        method: "POST",
        path: "/init",
        signal,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      });
      request.on("error", reject);
      request.on("response", (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
        response.on("error", reject);
      });
      request.end(body);
    });
    if (status !== 204) {
      throw new StacyError("guest_protocol", `the sandbox's agent refused its environment with status ${status}`);
    }
  } catch (error) {
    throw guestFailure(error, signal);
  }
}
