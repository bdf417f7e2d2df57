import type { Duplex } from "node:stream";
import type { GuestPort } from "../guest/guest-ports.ts";
import type { Context } from "./context.ts";
import { findServing } from "./find.ts";
import { measured } from "./measure.ts";
import type { SandboxTarget } from "./processes.ts";

/** What clients do with the ports on which programs in a sandbox listen. */
export function portUseCases(context: Context) {
  return {
    list: async ({ id, caller, signal }: SandboxTarget): Promise<readonly GuestPort[]> => {
      const { runtime } = await findServing(context, id, caller, signal);
      return await runtime.guest.ports.list(signal);
    },
    /** Throws port_refused. */
    dial: ({ id, caller, signal }: SandboxTarget, port: number): Promise<Duplex> => {
      const what = {
        operation: "port",
        action: "port.connect",
        sandboxId: id,
        resource: String(port),
        caller,
      } as const;
      return measured(context, what, async (facts) => {
        const { record, runtime } = await findServing(context, id, caller, signal);
        facts.record = record;
        return await runtime.guest.ports.dial(port, signal);
      });
    },
  };
}
