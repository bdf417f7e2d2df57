import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type Docker from "dockerode";
import { agentProgramName, agentVolumePath, programInVolume, tarHeader } from "./container-config.ts";
import { ignoreMissing } from "./engine.ts";
import { type NamedContainer, withIdleContainer } from "./idle-container.ts";

export interface AgentVolumesOptions {
  readonly serverId: string;
  /** Of this host. */
  readonly agentPath: string;
}

/**
 * The agent in a volume of the engine's, for one that sees no file of this host: one volume for each version, of this
 * server alone, so that nobody else's program is run. It is filled through a container that never starts.
 */
export const agentVolumes = ({ serverId, agentPath }: AgentVolumesOptions) => {
  const owner = { "stacyvm.server": serverId, "stacyvm.part": "agent" };
  let filling: Promise<string> | undefined;

  const fill = async (client: Docker, imageId: string): Promise<string> => {
    const program = await readFile(agentPath);
    const version = createHash("sha256").update(program).digest("hex").slice(0, 16);
    const name = `stacyvm-agent-${serverId}-${version}`;
    await removeOthers(client, name);
    await client.createVolume({ Name: name, Labels: owner });
    const options: NamedContainer = {
      name: `stacyvm-agent-${serverId}`,
      Image: imageId,
      Entrypoint: [programInVolume],
      Labels: owner,
      HostConfig: {
        NetworkMode: "none",
        Mounts: [{ Type: "volume", Source: name, Target: agentVolumePath, VolumeOptions: { NoCopy: true } as never }],
      },
    };
    await withIdleContainer(client, options, async (container) => {
      const kept = (await container.infoArchive({ path: programInVolume }).catch(ignoreMissing)) as unknown;
      if (sizeOf(kept) !== program.length) await container.putArchive(archiveOf(program), { path: agentVolumePath });
    });
    return name;
  };

  /** Of earlier versions; one that a sandbox still uses stays. */
  const removeOthers = async (client: Docker, name: string): Promise<void> => {
    const label = Object.entries(owner).map(([key, value]) => `${key}=${value}`);
    const { Volumes: volumes } = await client.listVolumes({ filters: JSON.stringify({ label }) as never });
    for (const one of volumes ?? []) {
      if (one.Name !== name)
        await client
          .getVolume(one.Name)
          .remove()
          .catch(() => {});
    }
  };

  return {
    /** The name of a volume that holds this server's agent. The image is any one of the engine's. */
    async ensure(client: Docker, imageId: string): Promise<string> {
      const filled = filling;
      const name = await filled?.catch(() => undefined);
      // A volume that nobody used at the time may have been pruned.
      const isThere = name !== undefined && (await client.getVolume(name).inspect().catch(ignoreMissing)) !== undefined;
      if (isThere) return name;
      if (filling === filled) filling = fill(client, imageId);
      return await (filling as Promise<string>);
    },
  };
};

/** The engine tells of a file in a header, which the client passes on with the answer. */
const sizeOf = (answer: unknown): number | undefined => {
  const { headers } = (answer ?? {}) as { headers?: Readonly<Record<string, string>> };
  const told = headers?.["x-docker-container-path-stat"];
  if (told === undefined) return undefined;
  const { size } = JSON.parse(Buffer.from(told, "base64").toString()) as { size?: number };
  return size;
};

const archiveOf = (program: Buffer): Buffer => {
  const padding = Buffer.alloc((512 - (program.length % 512)) % 512);
  const header = tarHeader({ name: agentProgramName, mode: 0o755, uid: 0, sizeBytes: program.length, type: "file" });
  return Buffer.concat([header, program, padding, Buffer.alloc(1024)]);
};
