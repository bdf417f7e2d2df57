import { StacyError } from "@stacyvm/contract";
import { RuleError } from "../lib/network-rule.ts";
import { destinationOf, destinationText } from "../sandbox/secret-use.ts";

/** `host:port`, lower case and ASCII; port 443 where none is written. Throws invalid_input. */
const hostOf = (text: string): string => {
  try {
    return destinationText(destinationOf(text));
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    throw new StacyError("invalid_input", `invalid input: hosts: ${JSON.stringify(text)}, ${error.message}`, {
      remediation: 'Name each host exactly, like "api.example.com" or "api.example.com:8443".',
    });
  }
};

/** Each once, in order. Throws invalid_input. */
export const secretHosts = (texts: readonly string[]): readonly string[] => [...new Set(texts.map(hostOf))].toSorted();
