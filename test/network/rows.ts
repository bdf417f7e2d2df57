import type { NetworkRow } from "./row.ts";
import { addressRows } from "./rows-addresses.ts";
import { flowRows } from "./rows-flows.ts";
import { nameRows } from "./rows-names.ts";

/** Every way out that is tried, in the order in which it is. */
export const networkRows: readonly NetworkRow[] = [...addressRows, ...nameRows, ...flowRows];
