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
  /** What is said with the host is looked into; it decides by request. Only with `host`. */
  readonly inspect?: true;
  /** Such as GET; absent: any. */
  readonly methods?: readonly string[];
  /** Begins with /, a * stands for any characters; absent: any. */
  readonly paths?: readonly string[];
}

/** What is wrong with a rule, and where. */
export class RuleError extends Error {
  override readonly name = "RuleError";
}

const portMax = 65_535;
const rangesMax = 16;
const methodsMax = 16;
const hostPattern = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * `api.example.com`, `*.example.com:443`, `203.0.113.7:80,8000-8100`, `203.0.113.0/24`, `[2001:db8::/32]:443`; of hosts that are looked into
 * also `inspect api.example.com`, `GET,HEAD api.example.com:443`, `POST api.example.com/v1/*`, `api.example.com/v1/*`.
 * Throws a RuleError that names the column, counted from 1.
 */
export function parseRule(text: string): NetworkRule {
  const { look, whole, wholeAt } = splitLook(text);
  const { target, ports, portsAt, path, pathAt } = split(whole, wholeAt);
  const paths = path === undefined ? {} : { inspect: true as const, paths: [checkPath(path, pathAt)] };
  const party = whom(target, whole.startsWith("[") ? wholeAt + 1 : wholeAt);
  const looks = { ...look, ...paths };
  if ("cidr" in party && looks.inspect)
    throw wrong(1, "only what is said with a host can be looked into, not with an address");
  return { text, ...party, ports: portRanges(ports, portsAt), ...looks };
}

const wrong = (column: number, message: string): RuleError => new RuleError(`column ${column}: ${message}`);

/** What stands before a host that is looked into. */
function splitLook(text: string): {
  readonly look: Pick<NetworkRule, "inspect" | "methods">;
  readonly whole: string;
  readonly wholeAt: number;
} {
  const space = text.indexOf(" ");
  if (space < 0) return { look: {}, whole: text, wholeAt: 1 };
  const word = text.slice(0, space);
  const after = { whole: text.slice(space + 1), wholeAt: space + 2 };
  if (word === "inspect") return { look: { inspect: true }, ...after };
  const methods = word.split(",");
  if (!methods.every((method) => /^[A-Z]{1,20}$/.test(method))) {
    throw wrong(1, `${JSON.stringify(word)} is neither "inspect" nor methods such as GET,HEAD`);
  }
  if (methods.length > methodsMax) throw wrong(1, `has more than ${methodsMax} methods`);
  return { look: { inspect: true, methods }, ...after };
}

function checkPath(path: string, at: number): string {
  const bad = path.search(/[^\x21-\x7e]|[%?#\\]/);
  if (bad >= 0)
    throw wrong(at + bad, "a path is written decoded and in ASCII, without a query, and * stands for any characters");
  return path;
}

function split(
  text: string,
  at: number,
): {
  readonly target: string;
  readonly ports: string | undefined;
  readonly portsAt: number;
  readonly path?: string;
  readonly pathAt: number;
} {
  if (text === "") throw wrong(at, "is empty; write a host, an address or a network");
  const space = text.search(/[^\x21-\x7e\u0080-\uffff]/);
  if (space >= 0) throw wrong(at + space, "has a character that no host, address or port has");
  const scheme = text.indexOf("://");
  if (scheme >= 0) throw wrong(at, `leave ${text.slice(0, scheme + 3)} out: a rule names a host and ports, no URL`);
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    if (close < 0) throw wrong(at + text.length, "the [ has no ]");
    const rest = text.slice(close + 1);
    if (rest !== "" && !rest.startsWith(":")) throw wrong(at + close + 1, "after ] comes : and a port, or nothing");
    const ports = rest === "" ? undefined : rest.slice(1);
    return { target: text.slice(1, close), ports, portsAt: at + close + 2, pathAt: 0 };
  }
  const [address = ""] = text.split("/");
  if (isIP(address) !== 0) {
    const colon = isIP(address) === 4 ? text.indexOf(":") : -1;
    if (colon < 0) return { target: text, ports: undefined, portsAt: 0, pathAt: 0 };
    return { target: text.slice(0, colon), ports: text.slice(colon + 1), portsAt: at + colon + 1, pathAt: 0 };
  }
  const slash = text.indexOf("/");
  const place = slash < 0 ? text : text.slice(0, slash);
  const path = slash < 0 ? {} : { path: text.slice(slash) };
  const colon = place.indexOf(":");
  if (colon >= 0 && place.includes(":", colon + 1)) {
    throw wrong(at + colon, "has more than one colon; write an IPv6 address in [ ]");
  }
  const ports = colon < 0 ? undefined : place.slice(colon + 1);
  const target = colon < 0 ? place : place.slice(0, colon);
  return { target, ports, portsAt: at + colon + 1, ...path, pathAt: at + slash };
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
  return { host: hostName(target, at) };
}

function hostName(target: string, at: number): string {
  const isWild = target.startsWith("*.");
  const bare = (isWild ? target.slice(2) : target).replace(/\.$/, "");
  const star = bare.indexOf("*");
  if (star >= 0) throw wrong(at + (isWild ? 2 : 0) + star, "a * stands alone as the first label, as in *.example.com");
  // Underscores, which names have and hosts don't, pass through unchanged.
  const ascii = /^[\x21-\x7e]*$/.test(bare) ? bare.toLowerCase() : domainToASCII(bare);
  // Also in digits that only become such; and no name's last label is a number.
  if (/^[0-9.-]+$/.test(ascii) || /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/.test(ascii)) {
    throw wrong(at, `${JSON.stringify(bare)} is no address that everybody reads alike; write all four numbers`);
  }
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
