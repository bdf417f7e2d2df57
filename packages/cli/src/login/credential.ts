import { LoginEnded } from "../failure.ts";
import type { ServerAddress } from "../server-socket.ts";
import { profileOf, serverName } from "./profiles.ts";

/** What the last login at the server left behind. Throws LoginEnded where that has ended, unless it is to be ignored. */
export const storedCredential = (url: string, lapsed: "refused" | "ignored"): ServerAddress => {
  const profile = URL.canParse(url) ? profileOf(url) : undefined;
  const none = { url, apiKey: undefined, token: undefined };
  if (profile === undefined) return none;
  if (Date.parse(profile.expiresAt) <= Date.now()) {
    if (lapsed === "ignored") return none;
    throw new LoginEnded(`the login at ${serverName(url)} has ended`);
  }
  return profile.kind === "key" ? { ...none, apiKey: profile.credential } : { ...none, token: profile.credential };
};
