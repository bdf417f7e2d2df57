import { chmod, chown, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { EgressDoor } from "../../egress/egress.ts";
import { gatewayUser } from "../../lib/gateway-user.ts";
import type { HostHelper } from "../host-helper.ts";
import type { AgentTransport } from "./agent-door.ts";
import type { EngineFacts } from "./engine-facts.ts";
import type { EgressWay } from "./labels.ts";

export interface EgressDoorsOptions {
  /** The host program's own, which only root and the egress gateway's group pass. */
  readonly directory: string;
  readonly helper: HostHelper;
}

/** Under gVisor the network is its own kernel's, and an agent that is reached by a stream may be on another machine. */
export const egressWay = ({ kind }: EngineFacts, transport: AgentTransport): EgressWay =>
  kind === "container" && transport === "socket" ? "device" : "relay";

const socketName = "egress.sock";
/** The agent's own resolver, and nothing of the host's or of the engine's. */
const resolvConf = "nameserver 198.18.0.2\n";

/**
 * A directory for each sandbox that has an outbound network, shown inside, in which its agent makes the socket for the
 * egress gateway. While the agent starts, its user may write there; from then on the gateway's user alone passes it, and
 * nobody inside.
 */
export const egressDoors = ({ directory, helper }: EgressDoorsOptions) => {
  /** Of the gateway; this process's own where that isn't root. */
  const user = process.geteuid?.() === 0 ? gatewayUser(dirname(directory)) : undefined;
  const at = (sandboxId: string): string => join(directory, sandboxId);
  const resolvConfPath = join(directory, "resolv.conf");

  let writing: Promise<void> | undefined;
  /** Appears whole or not at all. What a crash leaves on the way has the same name the next time. */
  const writeResolvConf = async (): Promise<void> => {
    if ((await readFile(resolvConfPath, "utf8").catch(() => "")) === resolvConf) return;
    const written = `${resolvConfPath}.new`;
    await writeFile(written, resolvConf, { mode: 0o644 });
    await rename(written, resolvConfPath);
  };

  return {
    user,
    path: at,
    /** Shown inside as `/etc/resolv.conf`: what an engine would write there has parts of the host's. */
    resolvConfPath,
    door: (sandboxId: string): EgressDoor => ({ path: join(at(sandboxId), socketName), guestMade: true }),
    /** Before the container is made; clears what one of the same id left. */
    async prepare(sandboxId: string, way: EgressWay): Promise<void> {
      await rm(at(sandboxId), { recursive: true, force: true });
      if (way === "relay") {
        if ((await mkdir(directory, { recursive: true, mode: 0o710 })) !== undefined && user !== undefined) {
          await chown(directory, 0, user);
        }
        await mkdir(at(sandboxId), { mode: 0o700 });
        if (user !== undefined) await chown(at(sandboxId), user, user);
        return;
      }
      writing ??= writeResolvConf().finally(() => {
        writing = undefined;
      });
      await writing;
      await mkdir(at(sandboxId));
      await chmod(at(sandboxId), 0o777);
    },
    /** Once the agent has answered, before the first program of the sandbox's runs: seals the door, and makes the network. */
    async open(sandboxId: string, signal: AbortSignal): Promise<void> {
      await helper.call("egress-tun", { sandbox_id: sandboxId }, signal);
    },
    /** Ids of the sandboxes that have one. */
    async list(): Promise<readonly string[]> {
      const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    },
    /** Idempotent. */
    async remove(sandboxId: string): Promise<void> {
      await rm(at(sandboxId), { recursive: true, force: true });
    },
  };
};

export type EgressDoors = ReturnType<typeof egressDoors>;

/** Why sandboxes of this engine have no outbound network through the gateway, and what would help; undefined where they have. */
export const egressLacks = async (
  facts: EngineFacts,
  transport: AgentTransport,
  helper: HostHelper,
  signal: AbortSignal,
): Promise<string | undefined> => {
  if (egressWay(facts, transport) === "relay") return undefined;
  try {
    const { no_tun: noTun } = await helper.call("probe", {}, signal);
    return noTun === "" ? undefined : noTun;
  } catch (error) {
    signal.throwIfAborted();
    return (error as Error).message;
  }
};
