import { StacyError } from "@stacyvm/contract";
import type { Sealer } from "./seal.ts";
import type { Rotation, SealedRow } from "./vault.ts";

/** Seals anew what isn't under the current key. Each row is changed by itself: stopped, it goes on at the next call. */
export const rotate = async (
  rows: AsyncIterable<SealedRow>,
  sealer: Sealer,
  onKept: (about: string, error: unknown) => void,
): Promise<Rotation> => {
  let [resealed, kept] = [0, 0];
  for await (const { sealed, about, replace } of rows) {
    if (sealer.isCurrent(sealed)) continue;
    try {
      const value = sealer.open(sealed, about);
      // Whoever saved it meanwhile sealed it: that is for the next call to judge.
      if (await replace(sealer.seal(value, about))) resealed += 1;
    } catch (error) {
      if (error instanceof StacyError) throw error;
      kept += 1;
      onKept(about, error);
    }
  }
  return { resealed, kept };
};
