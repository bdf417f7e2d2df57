import { existsSync } from "node:fs";
import { engineLacks, startEngine } from "../../packages/server/src/providers/docker/docker-engine.testing.ts";
import type { Beside, GroundOptions } from "./ground.ts";
import type { Internet } from "./internet.ts";

/** How programs of a sandbox get out: by a device of the sandbox's, or by a proxy inside. */
export type Level = "transparent" | "proxy";

/** A provider with a level of outbound network: a column of the table. */
export interface NetworkTarget {
  readonly id: string;
  readonly title: string;
  readonly level: Level;
  /** What this machine lacks for it; undefined for nothing. */
  readonly lacks?: () => string | undefined;
  readonly ground: Pick<GroundOptions, "config" | "beside">;
}

/** An engine of the test's own, on the host under test; `remap`: with users of its own for sandboxes. */
export const dockerBeside = async ({ holders }: Internet, { remap = false } = {}): Promise<Beside> => {
  const of = (kind: string) => `/proc/${holders.host}/ns/${kind}`;
  const enter = [`--net=${of("net")}`, `--mount=${of("mnt")}`, `--ipc=${of("ipc")}`, `--pid=${of("pid_for_children")}`];
  const engine = await startEngine({ remap, inside: ["nsenter", ...enter] });
  return {
    config: { "providers.docker.enabled": "true", "providers.docker.socket": engine.socket },
    [Symbol.asyncDispose]: () => engine.close(),
  };
};

const runsc = "/usr/bin/runsc";
const proot = "/usr/bin/proot";

export const networkTargets: readonly [NetworkTarget, ...NetworkTarget[]] = [
  {
    id: "oci-transparent",
    title: "oci, runc, where every connection goes through the gateway",
    level: "transparent",
    ground: {},
  },
  {
    id: "docker-transparent",
    title: "Docker on this host, likewise",
    level: "transparent",
    lacks: engineLacks,
    ground: { config: { "providers.default": "docker" }, beside: (internet) => dockerBeside(internet) },
  },
  {
    id: "docker-stream-proxy",
    title: "Docker as on another host: an HTTP proxy inside, and the agent's stream leads to the gateway",
    level: "proxy",
    lacks: engineLacks,
    ground: {
      config: { "providers.default": "docker", "providers.docker.agent_transport": "stream" },
      beside: (internet) => dockerBeside(internet),
    },
  },
  {
    id: "oci-runsc-proxy",
    title: "oci, runsc, where an HTTP proxy inside leads to the gateway",
    level: "proxy",
    lacks: () => (existsSync(runsc) ? undefined : `no ${runsc}`),
    ground: { config: { "providers.oci.runtime": runsc } },
  },
  {
    id: "proot-proxy",
    title: "PRoot with namespaces, likewise",
    level: "proxy",
    lacks: () => (existsSync(proot) ? undefined : `no ${proot}`),
    ground: { config: { "providers.default": "proot", "providers.proot.enabled": "true" } },
  },
];
