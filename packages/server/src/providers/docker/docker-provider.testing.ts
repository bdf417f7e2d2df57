import { rm } from "node:fs/promises";
import { join } from "node:path";
import { connectGuest } from "../../guest/agent/connect-guest.ts";
import type { EngineImages } from "../../images/image-store.ts";
import type { ProviderUnderTest } from "../contract/suite.testing.ts";
import { buildNative, busyboxImage, makeTestHost } from "../host.testing.ts";
import { hostHelper } from "../host-helper.ts";
import type { AgentTransport } from "./agent-door.ts";
import { type DockerProviderOptions, dockerProvider } from "./docker.ts";
import { startEngine, type TestEngine, type TestEngineOptions } from "./docker-engine.testing.ts";

/** Nothing stored, no alias, no credentials. */
export const noImages: EngineImages = {
  name: (reference) => ({ reference, isLocal: false }),
  useStored: async () => undefined,
  asker: async () => ({ mustAsk: false, knows: () => false, learned: () => {}, login: async () => undefined }),
};

export const dockerSettings = (socket: string, runtime = "runc"): DockerProviderOptions["settings"] => ({
  socket,
  tlsDir: "",
  agentTransport: "auto",
  runtime,
  networkMode: "none",
  seccompProfile: "default",
  pidsLimit: 0,
  readOnlyRootfs: false,
  tmpfs: {},
});

export interface DockerUnderTest extends ProviderUnderTest {
  readonly engine: TestEngine;
  readonly agentPath: string;
  open(more?: Partial<DockerProviderOptions>): ReturnType<typeof dockerProvider>;
}

/** An engine with the image `busybox`, and providers over it. */
export const dockerUnderTest = async (
  options: TestEngineOptions & {
    readonly runtime?: string;
    /** Over TLS, as an engine on another machine is. */
    readonly tcp?: boolean;
    readonly agentTransport?: AgentTransport;
  } = {},
): Promise<DockerUnderTest> => {
  const host = await makeTestHost();
  const { dataRoot, agentPath } = host;
  const tree = join(dataRoot, "images/busybox");
  await busyboxImage(tree);
  const engine = await startEngine(options).catch(async (error: unknown) => {
    await rm(dataRoot, { recursive: true });
    throw error;
  });
  await engine.importTree(tree, "busybox:latest");
  const opened: AsyncDisposable[] = [];
  // What a crash takes is its connections and the host program.
  const disconnect = async (): Promise<void> => {
    for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
  };
  return {
    engine,
    agentPath,
    dataRoot,
    image: undefined,
    probePath: buildNative("wall-probe", join(dataRoot, "programs")),
    tellsHostPaths: true,
    async end(runtime) {
      await engine.client.getContainer(String(runtime.ref.data.containerId)).kill();
    },
    open(more = {}) {
      const helper = hostHelper(host);
      const made = dockerProvider({
        serverId: "test",
        connectGuest,
        images: noImages,
        agentPath,
        doorsDirectory: join(dataRoot, "doors"),
        helper,
        egressDirectory: join(dataRoot, "egress"),
        settings: {
          ...dockerSettings(engine.socket, options.runtime),
          ...(options.tcp === true ? { socket: engine.tcp, tlsDir: engine.tlsDir } : {}),
          ...(options.agentTransport === undefined ? {} : { agentTransport: options.agentTransport }),
        },
        ...more,
      });
      opened.push(made, helper);
      return made;
    },
    crash: disconnect,
    async close() {
      await disconnect();
      await engine.close();
      await rm(dataRoot, { recursive: true });
    },
  };
};
