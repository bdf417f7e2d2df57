import type Docker from "dockerode";
import { KeyMutex } from "../../lib/key-mutex.ts";
import { workspaceArchive } from "./container-config.ts";
import { ignoreMissing } from "./engine.ts";
import { type NamedContainer, withIdleContainer } from "./idle-container.ts";
import type { EngineImage } from "./images.ts";

/** Names of images with a working directory; no registry has that name. */
const repository = "stacyvm.invalid/workspace";

/**
 * Images with a working directory that belongs to an ordinary user, which the user itself can't make. One for each image and
 * user, made through a container that never starts: put into each sandbox's own container it would cost the engine as much
 * as the sandbox's start.
 */
export const workspaceImages = ({ serverId }: { readonly serverId: string }) => {
  const making = new KeyMutex();

  const make = async (client: Docker, image: EngineImage, uid: number, tag: string): Promise<string> => {
    const name = `stacyvm-workspace-${serverId}`;
    const options: NamedContainer = {
      name,
      Image: image.id,
      Entrypoint: ["/nothing"],
      Cmd: [],
      Labels: { "stacyvm.server": serverId, "stacyvm.part": "workspace" },
      HostConfig: { NetworkMode: "none" },
    };
    await withIdleContainer(client, options, async (container) => {
      await container.putArchive(workspaceArchive(uid), { path: "/" });
      await container.commit({ repo: repository, tag, pause: false });
    });
    const made = await find(client, tag);
    if (made === undefined) throw new Error(`the engine committed ${repository}:${tag} and doesn't have it`);
    return made;
  };

  return {
    /** The same image, but for the directory and the id. */
    async ensure(client: Docker, image: EngineImage, uid: number): Promise<EngineImage> {
      const tag = `${image.id.replace("sha256:", "")}-${uid}`;
      const there = await find(client, tag);
      if (there !== undefined) return { ...image, id: there };
      // One at a time: they share the name of their container.
      return await making.run("", async () => {
        return { ...image, id: (await find(client, tag)) ?? (await make(client, image, uid, tag)) };
      });
    },
  };
};

const find = async (client: Docker, tag: string): Promise<string | undefined> =>
  (await client.getImage(`${repository}:${tag}`).inspect().catch(ignoreMissing))?.Id;
