import { StacyError } from "@stacyvm/contract";

/** Uid that `restricted` sandboxes run as. */
const restrictedUid = "1000";

/** Throws invalid_input for a user whom the profile can't become; an empty one is the profile's own. */
export function checkUser(security: string, user: string): void {
  if (security !== "restricted" || user === "") return;
  const [uid, gid = restrictedUid] = user.split(":");
  if (uid === restrictedUid && gid === restrictedUid) return;
  throw new StacyError("invalid_input", "invalid input: user must be 1000 under the restricted security profile");
}
