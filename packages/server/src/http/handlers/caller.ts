import { StacyError } from "@stacyvm/contract";
import { actorName } from "../../audit/actor.ts";
import { parseDuration } from "../../lib/duration.ts";
import type { Caller } from "../../orchestrator/context.ts";
import { parseOwnerId } from "../../sandbox/owner.ts";
import { everywhere, type Scope } from "../../sandbox/scope.ts";
import type { Identity } from "../identity.ts";

export const callerOf = (identity: Identity): Caller => ({
  actor: actorName({ ...identity, ownerId: identity.ownerHeader.slice(0, 128) }),
  scope: identity.scope,
});

/** What a caller's figures count: how much others have is none of a tenant's business. */
export const countedFor = ({ ofTenant, scope }: Identity): Scope => (ofTenant ? scope : everywhere);

/** X-User-ID, else the body's owner_id; empty where neither is given. Throws invalid_input. */
export const ownerOf = (identity: Identity, bodyOwner: string | undefined): string =>
  parseOwnerId(identity.ownerHeader !== "" ? identity.ownerHeader : (bodyOwner ?? ""));

/** Milliseconds; the prefix stands before the reason in the message. Throws invalid_input. */
export const durationOf = (text: string, prefix: string): number => {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new StacyError("invalid_input", `${prefix}: ${error instanceof Error ? error.message : "invalid"}`);
  }
};
