import { createHash } from "node:crypto";

const firstGateway = 0x6fff_0000;
const firstForward = 0x6ffe_0000;

/**
 * User and group of the egress gateway where the server is root, below those of sandboxes; by the directory of running sandboxes, as
 * stacyvm-host has it: what one server lets its gateway reach, the packet filter of another on the same host would refuse.
 */
export const gatewayUser = (stateDir: string): number => firstGateway + numberOf(stateDir);

/** The same of the proxy for the server's own requests, whom no packet filter knows: the operator's hosts may be anywhere. */
export const forwardUser = (stateDir: string): number => firstForward + numberOf(stateDir);

const numberOf = (stateDir: string): number => createHash("sha256").update(stateDir).digest().readUInt16BE();
