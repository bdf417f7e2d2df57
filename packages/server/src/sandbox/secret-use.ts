import { envNamePattern, StacyError } from "@stacyvm/contract";
import { parseRule, RuleError } from "../lib/network-rule.ts";

/** A header that requests to one host get, in place of the sandbox's own. */
export interface InjectRule {
  /** Host with an optional port, 443 where there is none. */
  readonly host: string;
  readonly header: string;
  /** Name of a secret. */
  readonly secret: string;
  /** What the header says; `{secret}` in it stands for the secret. */
  readonly value: string;
}

/** Where something is sent by HTTPS, and nowhere else. */
export interface Destination {
  /** In lower case and ASCII. */
  readonly host: string;
  readonly port: number;
}

/** A secret whose placeholder a sandbox has in its environment. */
export interface SecretUse {
  readonly name: string;
  /** Undefined: every host that the secret may be sent to. */
  readonly to: Destination | undefined;
}

export const secretMark = "{secret}";
const httpsPort = 443;
/** Of a request's own framing, or hop by hop: a value of ours there would make another request of it. */
const takenHeaders = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const invalid = (message: string, remediation: string): StacyError =>
  new StacyError("invalid_input", `invalid input: ${message}`, { remediation });

/** Port 443 where none is written. Throws a RuleError where it is no name with at most one port. */
export function destinationOf(text: string): Destination {
  const { host, ports, inspect } = parseRule(text);
  const [first, last] = ports[0] ?? [httpsPort, httpsPort];
  if (host === undefined) throw new RuleError("column 1: is an address; a certificate is checked for a name");
  if (host.startsWith("*.")) throw new RuleError("column 1: stands for many names; name each host");
  if (inspect) throw new RuleError("column 1: is a host with a port or none, without methods and paths");
  if (ports.length > 1 || first !== last) throw new RuleError("column 1: has more than one port");
  return { host, port: first };
}

export const destinationText = ({ host, port }: Destination): string => `${host}:${port}`;

/** `OPENAI_API_KEY@api.openai.com`, or the name alone. Throws invalid_input that names the place. */
export const readSecretUses = (texts: readonly string[]): readonly SecretUse[] =>
  texts.map((text, at) => {
    const split = text.indexOf("@");
    const name = split < 0 ? text : text.slice(0, split);
    const remedy = "Write a secret's use like OPENAI_API_KEY@api.openai.com.";
    if (!envNamePattern.test(name)) {
      throw invalid(`secrets[${at}] ${JSON.stringify(text)}: ${JSON.stringify(name)} is no secret's name`, remedy);
    }
    try {
      return { name, to: split < 0 ? undefined : destinationOf(text.slice(split + 1)) };
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      const why = error.message.replace(/^column (\d+)/, (_, column) => `column ${Number(column) + split + 1}`);
      throw invalid(`secrets[${at}] ${JSON.stringify(text)}, ${why}`, remedy);
    }
  });

/** Throws invalid_input that names the rule. */
export function checkInjectRules(rules: readonly InjectRule[]): void {
  for (const [at, { host, header, secret, value }] of rules.entries()) {
    const place = `network.inject[${at}]`;
    const remedy = `Write {"host": "api.example.com", "header": "Authorization", "secret": "NAME", "value": "Bearer ${secretMark}"}.`;
    try {
      destinationOf(host);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      throw invalid(`${place}.host ${JSON.stringify(host)}, ${error.message}`, remedy);
    }
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/.test(header) || takenHeaders.has(header.toLowerCase())) {
      throw invalid(`${place}.header: ${JSON.stringify(header)} can't be set`, remedy);
    }
    if (!envNamePattern.test(secret)) {
      throw invalid(`${place}.secret: ${JSON.stringify(secret)} is no secret's name`, remedy);
    }
    if (value.split(secretMark).length !== 2 || !/^[\x20-\x7e]*$/.test(value)) {
      throw invalid(`${place}.value: has ${secretMark} in it once, and no control characters`, remedy);
    }
  }
}
