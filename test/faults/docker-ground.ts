import { readdir, readFile } from "node:fs/promises";
import { engineLacks, startEngine } from "../../packages/server/src/providers/docker/docker-engine.testing.ts";
import type { FaultGround } from "./ground.ts";

/** An engine of the test's own, with nothing else on it. */
export const dockerGround = async (): Promise<FaultGround> => {
  const lacks = engineLacks();
  if (lacks !== undefined) throw new Error(`docker: ${lacks}`);
  const engine = await startEngine();
  const containers = async () =>
    (await engine.client.listContainers({ all: true })).map(({ Id, State, Labels }) => ({
      container: engine.client.getContainer(Id),
      id: Labels["stacyvm.sandbox"] ?? "",
      alive: State === "running",
    }));
  const find = async (id: string) => {
    const found = (await containers()).find((each) => each.id === id);
    if (found === undefined) throw new Error(`the engine has no ${id}`);
    return found.container;
  };
  return {
    config: {
      "providers.docker.enabled": "true",
      "providers.docker.socket": engine.socket,
      "providers.docker.network_mode": "none",
    },
    engines: [engine.socket.replace(/^unix:\/\//, "")],
    owned: async () => (await containers()).map(({ id, alive }) => ({ id, alive })),
    killAgent: async (_dataDir, id) => {
      await (await find(id)).kill({ signal: "SIGKILL" });
    },
    killShim: async (id) => {
      const { id: container } = await find(id);
      for (const pid of await readdir("/proc")) {
        const argv = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "") : "";
        if (/^\S*containerd-shim/.test(argv) && argv.split("\0").includes(container))
          process.kill(Number(pid), "SIGKILL");
      }
    },
    clear: async () => {
      for (const { container } of await containers()) await container.remove({ force: true, v: true });
    },
    [Symbol.asyncDispose]: () => engine.close(),
  };
};
