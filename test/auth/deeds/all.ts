import type { OperationId } from "@stacyvm/contract";
import type { World } from "../world.ts";
import { makeBox } from "./box.ts";
import type { Deed } from "./deed.ts";
import { fileDeeds } from "./files.ts";
import { insideDeeds } from "./inside.ts";
import { rowDeeds } from "./rows.ts";
import { serverDeeds } from "./server.ts";

/** A deed for every operation, on what the world holds. */
export const makeDeeds = async (world: World): Promise<Readonly<Record<OperationId, Deed>>> => {
  const box = await makeBox(world);
  return {
    ...insideDeeds(world, box),
    ...fileDeeds(world, box),
    ...(await rowDeeds(world, box)),
    ...serverDeeds(world),
  };
};
