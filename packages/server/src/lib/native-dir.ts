import { fileURLToPath } from "node:url";

/** Where the programs of `native/` are built to. */
export const builtNativeDir = fileURLToPath(new URL("../../../../build", import.meta.url));
