import { existsSync, readFileSync } from "node:fs";
import { StacyError } from "@stacyvm/contract";
import { seccompProfile } from "../seccomp.ts";

/** As `providers.docker` of the configuration. */
export interface DockerSettings {
  readonly socket: string;
  readonly tlsDir: string;
  readonly runtime: string;
  readonly networkMode: string;
  /** `default`, or the path of a file. */
  readonly seccompProfile: string;
  readonly pidsLimit: number;
  readonly readOnlyRootfs: boolean;
  readonly tmpfs: Readonly<Record<string, string>>;
}

/** What of this host, and not of the engine, stands in the way. */
export function* localProblems(agentPath: string, settings: DockerSettings): Generator<string> {
  if (!existsSync(agentPath)) yield `the agent's program is missing at ${agentPath}: npm run build`;
  if (process.geteuid?.() !== 0) {
    yield "the server is not root, and only root reaches the sockets that sandboxes' users make: run it as root";
  }
  try {
    seccompContent(settings.seccompProfile);
  } catch (error) {
    yield (error as Error).message;
  }
}

/** The profile as the engine takes it: content, never a name, as the engine would look for that on its own host. */
export const seccompContent = (profile: string): string => {
  // Nothing in a container forbids the user namespaces that clone3 can make without the filter seeing it.
  if (profile === "default")
    return JSON.stringify(seccompProfile(process.arch === "arm64" ? "arm64" : "x64", "missing"));
  try {
    return JSON.stringify(JSON.parse(readFileSync(profile, "utf8")));
  } catch (error) {
    throw new StacyError(
      "provider_unavailable",
      `providers.docker.seccomp_profile ${profile} is no readable JSON file`,
      {
        cause: error,
      },
    );
  }
};
