import { createHash } from "node:crypto";

const first = 0x6fff_0000;

/**
 * User and group of the egress gateway where the server is root, below those of sandboxes; by the directory of running sandboxes, as
 * stacyvm-host has it: what one server lets its gateway reach, the packet filter of another on the same host would refuse.
 */
export const gatewayUser = (stateDir: string): number =>
  first + createHash("sha256").update(stateDir).digest().readUInt16BE();
