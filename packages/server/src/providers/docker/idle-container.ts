import type Docker from "dockerode";
import { ignoreMissing } from "./engine.ts";

export type NamedContainer = Docker.ContainerCreateOptions & { readonly name: string };

/**
 * Makes a container that never starts, through which the engine's files are reached, and removes it after its use. One of
 * its name that a server left as it died goes before.
 */
export const withIdleContainer = async <T>(
  client: Docker,
  options: NamedContainer,
  use: (container: Docker.Container) => Promise<T>,
): Promise<T> => {
  await client.getContainer(options.name).remove({ force: true }).catch(ignoreMissing);
  const container = await client.createContainer(options);
  try {
    return await use(container);
  } finally {
    await container.remove({ force: true, v: true });
  }
};
