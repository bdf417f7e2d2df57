import { expect, test } from "vitest";
import { loadConfig } from "../config/load.ts";
import { systemClock } from "../lib/clock.ts";
import { createProviderDirectory } from "./directory.ts";
import type { HostHelper, HostProbe } from "./host-helper.ts";
import { createProviders } from "./registry.ts";

const { config } = loadConfig({ env: {}, cwd: "/nowhere", home: "/nowhere", uid: 1000, readFile: () => "" });

/** What the host program of a machine would say on which these lack something. */
const machine = (missing: Readonly<Record<string, readonly string[]>>, noNamespaces = ""): HostHelper => {
  const probe: HostProbe = {
    cgroup_mode: "hybrid",
    runtime_kind: "container",
    open_files_max: 1024,
    versions: {},
    missing,
    no_namespaces: noNamespaces,
    no_tun: "",
    landlock: 7,
  };
  return { call: async () => probe as never, [Symbol.asyncDispose]: async () => {} };
};

const chosen = async (helper: HostHelper): Promise<string> => {
  const providers = createProviders({
    config: { ...config.providers, mock: { enabled: true } },
    serverId: "test",
    helper,
    images: {
      name: (reference) => ({ reference, isLocal: false }),
      useStored: async () => undefined,
      asker: async () => ({ mustAsk: false, knows: () => false, learned: () => {}, login: async () => undefined }),
    },
    agentPath: "/nowhere/stacyvm-agent",
    dataDir: "/nowhere",
    onImageNote: () => {},
    connectGuest: () => {
      throw new Error("no sandbox is made");
    },
  });
  return (await createProviderDirectory({ providers, wanted: "auto", clock: systemClock })).defaultName;
};

test("auto takes PRoot only where no stronger wall is healthy", async () => {
  expect(await chosen(machine({}))).toBe("oci");
  expect(await chosen(machine({ oci: ["not root"] }))).toBe("proot");
  expect(await chosen(machine({ oci: ["not root"] }, "no user namespaces"))).toBe("");
  expect(await chosen(machine({ oci: ["not root"], proot: ["no program"] }))).toBe("");
});
