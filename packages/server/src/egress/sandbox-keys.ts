import { createHmac, hkdfSync } from "node:crypto";
import type { Secret } from "../lib/secret.ts";

/** What the gateway's programs know a placeholder by. */
const placeholderPrefix = "stacyvm-secret-";
/** Hex digits behind it: nobody meets one by chance. */
const placeholderDigits = 32;
const seedBytes = 32;

/** What each sandbox has of its own towards the gateway: made from the host's key, and so the same after every restart. */
export interface SandboxKeys {
  /** Of its authority, in base64. */
  seed(sandboxId: string): string;
  placeholder(sandboxId: string, secretName: string): string;
}

export const sandboxKeys = (key: Secret): SandboxKeys => ({
  seed: (sandboxId) =>
    Buffer.from(hkdfSync("sha256", key.reveal(), sandboxId, "stacyvm egress authority", seedBytes)).toString("base64"),
  placeholder: (sandboxId, secretName) => {
    const about = JSON.stringify(["placeholder", sandboxId, secretName]);
    const digits = createHmac("sha256", key.reveal()).update(about).digest("hex").slice(0, placeholderDigits);
    return `${placeholderPrefix}${digits}`;
  },
});
