import { createServer } from "node:net";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, fail } = findingsOf("server");

/** Whether the server could listen. `answers`: one of ours answers at that address already. */
export async function portFinding(host: string, port: number, answers: boolean): Promise<Finding> {
  const place = `${host} port ${port}`;
  const error = await listenError(host, port);
  if (error === undefined) return ok("port", port === 0 ? `any free port of ${host} is taken` : `${place} is free`);
  if (error.code === "EADDRINUSE" && answers) return ok("port", `${place} is taken by a server that answers`);
  if (error.code === "EADDRINUSE") {
    return fail("port", `${place} is taken by another program`, `end that one, or take another port: server.port`);
  }
  if (error.code === "EACCES")
    return fail("port", `this user can't listen on ${place}`, "take a port above 1023: server.port");
  return fail("port", `can't listen on ${place}: ${error.message}`, "set server.host to an address of this machine");
}

const listenError = (host: string, port: number): Promise<NodeJS.ErrnoException | undefined> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", resolve);
    probe.listen({ host, port }, () => probe.close(() => resolve(undefined)));
  });
