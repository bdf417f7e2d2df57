import { isIP } from "node:net";
import { domainToASCII } from "node:url";

/** Whom a sandbox may reach, or may not. */
export interface NetworkRule {
  /** As it was written. */
  readonly text: string;
  /** In lower case and ASCII; `*.` before it stands for every name below, the name itself left out. */
  readonly host?: string;
  /** An address with its length, such as 203.0.113.0/24. */
  readonly cidr?: string;
  /** First and last of each range; empty: every port. */
  readonly ports: readonly (readonly [number, number])[];
}

/** What is wrong with a rule, and where. */
export class RuleError extends Error {
  override readonly name = "RuleError";
}

const portMax = 65_535;
const rangesMax = 16;
const hostPattern = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * `api.example.com`, `*.example.com:443`, `203.0.113.7:80,8000-8100`, `203.0.113.0/24`, `[2001:db8::/32]:443`.
 * Throws a RuleError that names the column, counted from 1.
 */
export function parseRule(text: string): NetworkRule {
  const { target, ports, portsAt } = split(text);
  return { text, ...whom(target, text.startsWith("[") ? 2 : 1), ports: portRanges(ports, portsAt) };
}

const wrong = (column: number, message: string): RuleError => new RuleError(`column ${column}: ${message}`);

function split(text: string): {
  readonly target: string;
  readonly ports: string | undefined;
  readonly portsAt: number;
} {
  if (text === "") throw wrong(1, "is empty; write a host, an address or a network");
  const space = text.search(/[^\x21-\x7e\u0080-\uffff]/);
  if (space >= 0) throw wrong(space + 1, "has a character that no host, address or port has");
  const scheme = text.indexOf("://");
  if (scheme >= 0) throw wrong(1, `leave ${text.slice(0, scheme + 3)} out: a rule names a host and ports, no URL`);
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    if (close < 0) throw wrong(text.length + 1, "the [ has no ]");
    const rest = text.slice(close + 1);
    if (rest !== "" && !rest.startsWith(":")) throw wrong(close + 2, "after ] comes : and a port, or nothing");
    return {
      target: text.slice(1, close),
      ports: rest === "" ? undefined : rest.slice(1),
      portsAt: close + 3,
    };
  }
  // More than one colon: an IPv6 address without brackets.
  const colon = text.indexOf(":");
  if (colon < 0) return { target: text, ports: undefined, portsAt: 0 };
  if (text.includes(":", colon + 1)) {
    const [address = ""] = text.split("/");
    if (isIP(address) === 6) return { target: text, ports: undefined, portsAt: 0 };
    throw wrong(colon + 1, "has more than one colon; write an IPv6 address in [ ]");
  }
  return { target: text.slice(0, colon), ports: text.slice(colon + 1), portsAt: colon + 2 };
}

function whom(target: string, at: number): { readonly host: string } | { readonly cidr: string } {
  const [address = "", bits, ...more] = target.split("/");
  const version = isIP(address);
  if (version !== 0) {
    const most = version === 4 ? 32 : 128;
    if (bits === undefined) return { cidr: `${address}/${most}` };
    if (more.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most) {
      throw wrong(at + address.length, `after / comes a length from 0 to ${most}`);
    }
    return { cidr: `${address}/${Number(bits)}` };
  }
  if (bits !== undefined)
    throw wrong(at, `${JSON.stringify(address)} is no address; paths can't be told without looking inside`);
  return { host: hostName(target, at) };
}

function hostName(target: string, at: number): string {
  const isWild = target.startsWith("*.");
  const bare = (isWild ? target.slice(2) : target).replace(/\.$/, "");
  const star = bare.indexOf("*");
  if (star >= 0) throw wrong(at + (isWild ? 2 : 0) + star, "a * stands alone as the first label, as in *.example.com");
  if (/^[0-9.-]+$/.test(bare) || /^0x[0-9a-f]+$/i.test(bare)) {
    throw wrong(at, `${JSON.stringify(bare)} is no address that everybody reads alike; write all four numbers`);
  }
  // Underscores, which names have and hosts don't, pass through unchanged.
  const ascii = /^[\x21-\x7e]*$/.test(bare) ? bare.toLowerCase() : domainToASCII(bare);
  const host = `${isWild ? "*." : ""}${ascii}`;
  if (ascii === "" || ascii.length > 253 || !hostPattern.test(host)) {
    throw wrong(at, `${JSON.stringify(target)} is neither a host name, nor an address, nor a network`);
  }
  return host;
}

function portRanges(text: string | undefined, at: number): readonly (readonly [number, number])[] {
  if (text === undefined) return [];
  const parts = text.split(",");
  if (parts.length > rangesMax) throw wrong(at, `has more than ${rangesMax} ports or ranges`);
  let column = at;
  return parts.map((part) => {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
    const range = [Number(first), Number(last)] as const;
    if (!(range[0] >= 1 && range[0] <= range[1] && range[1] <= portMax)) {
      throw wrong(column, `${JSON.stringify(part)} is no port from 1 to ${portMax} and no range such as 8000-8100`);
    }
    column += part.length + 1;
    return range;
  });
}
