import type { Client, InjectRule, NetworkDecision, NetworkInfo, NetworkPolicy } from "stacyvm";
import { UsageFailure } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { type Output, printable } from "../output.ts";
import { table } from "../table.ts";

export interface PolicyFlags {
  readonly network?: string;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly inject: readonly string[];
}

const modes = ["none", "public", "allowlist"] as const;

/** What a spawn says of the network; words that only an engine knows go as they are. */
export function networkOf(flags: PolicyFlags): { readonly network?: NetworkPolicy; readonly network_mode?: string } {
  const isOwn = flags.network !== undefined && !modes.some((mode) => mode === flags.network);
  if (!isOwn) {
    const network = policyOf(flags);
    return network === undefined ? {} : { network };
  }
  if (flags.allow.length + flags.deny.length + flags.inject.length > 0) {
    throw new UsageFailure(`--network ${flags.network} takes no rules; use ${modes.join(", ")}`);
  }
  return { network_mode: flags.network };
}

/** With rules alone: what is allowed and nothing else, or all but what is denied. */
function policyOf({ network, allow, deny, inject }: PolicyFlags): NetworkPolicy | undefined {
  if (network === undefined && allow.length + deny.length + inject.length === 0) return undefined;
  const mode = network ?? (allow.length > 0 ? "allowlist" : "public");
  const known = modes.find((one) => one === mode);
  if (known === undefined) throw new UsageFailure(`--network ${mode} is none of ${modes.join(", ")}`);
  return { mode: known, allow: [...allow], deny: [...deny], inject: inject.map(injectRuleOf) };
}

/** `NAME@api.example.com Authorization: Bearer {secret}`; without a colon the header says the secret alone. */
function injectRuleOf(text: string): InjectRule {
  const [, secret = "", host = "", header = "", value] = /^([^@\s]+)@(\S+)\s+([^\s:]+)(?::\s*(.*))?$/.exec(text) ?? [];
  if (secret === "") {
    throw new UsageFailure(
      `--inject ${JSON.stringify(text)}: write it like "API_KEY@api.example.com Authorization: Bearer {secret}"`,
    );
  }
  return { secret, host, header, ...(value === undefined ? {} : { value }) };
}

export interface NetworkFlags extends PolicyFlags {
  readonly follow?: true;
}

/** Decisions that are shown before those that come. */
const shownMax = 50;

export async function networkCommand(client: Client, output: Output, id: string, flags: NetworkFlags): Promise<void> {
  const { network } = await client.get(id);
  const policy = policyOf(flags);
  if (policy !== undefined) {
    const changed = await network.set(policy);
    output.result(changed, `${reach(changed)}${changed.cut ? `\n${changed.cut} connections were ended` : ""}`);
    return;
  }
  if (flags.follow) {
    await interruptible(async (signal) => {
      for await (const line of network.log({ limit: shownMax, follow: true, signal })) {
        if (output.json) output.line(JSON.stringify(line));
        else if (line.type !== "live") output.line(printable(told(line)));
      }
    });
    return;
  }
  const info = await network.get();
  const log = await Array.fromAsync(network.log({ limit: shownMax }));
  const heading = ["TIME", "DECISION", "WHERE", "WHY", "OUT", "IN"];
  const rows = rowsOf(log);
  const layout = { elastic: [heading.indexOf("WHERE")], expendable: [heading.indexOf("WHY")], width: output.width };
  const none = info.level === "none" ? "" : "\n\nNothing was tried yet";
  const tried = rows.length === 0 ? none : `\n\n${table([heading, ...rows], layout)}`;
  output.result({ ...info, log }, `${reach(info)}${tried}`);
}

/** What may be reached, in words. */
function reach({ mode, allow, deny, inject, level, server }: NetworkInfo): string {
  if (level === "none") return "It was made without a network";
  const isWide = server.mode === "public" && server.deny.length === 0;
  return [
    `May reach ${sentence({ mode, allow, deny })}`,
    ...(inject ?? []).map(({ host, header, secret }) => `${host} gets ${header} with secret ${secret}`),
    ...(isWide ? [] : [`The server permits: ${sentence(server)}`]),
  ].join("\n");
}

const sentence = ({ mode, allow = [], deny = [] }: NetworkPolicy): string => {
  const most = mode === "public" ? "the public Internet" : allow.length === 0 ? "nothing" : allow.join(", ");
  return `${most}${deny.length === 0 ? "" : `, but not ${deny.join(", ")}`}`;
};

const where = ({ host, address, port, method, path = "" }: NetworkDecision): string => {
  const name = host ?? (address?.includes(":") ? `[${address}]` : address) ?? "-";
  const place = port === undefined ? name : `${name}:${port}`;
  return method === undefined ? place : `${method} ${place}${path}`;
};

const why = ({ reason = "", rule, policy, secrets = [] }: NetworkDecision): string => {
  const by = rule === undefined ? "" : ` ${rule}${policy === "server" ? " (server)" : ""}`;
  const used = secrets.length === 0 ? "" : `, secret ${secrets.join(", ")}`;
  return `${reason.replaceAll("_", " ")}${by}${used}`;
};

const clockTime = (at: string): string => at.slice(11, 19);

/** A connection is one row: its end tells its bytes. */
function rowsOf(log: readonly NetworkDecision[]): readonly (readonly string[])[] {
  const ends = new Map(log.filter(({ type }) => type === "closed").map((line) => [line.flow, line]));
  return log
    .filter(({ type }) => type === "decision")
    .map((line) => {
      const end = line.kind === "connect" && line.flow !== undefined ? ends.get(line.flow) : undefined;
      return [
        clockTime(line.at),
        line.decision ?? "-",
        where(line),
        why(line),
        String(end?.sent ?? "-"),
        String(end?.received ?? "-"),
      ];
    });
}

function told(line: NetworkDecision): string {
  const time = clockTime(line.at);
  if (line.type === "missed") return `${time}  ${line.count ?? 0} more that were not told`;
  if (line.type === "closed") {
    return `${time}  ended    #${line.flow} ${line.reason ?? ""}, ${line.sent ?? 0} bytes out, ${line.received ?? 0} in`;
  }
  const flow = line.flow === undefined ? "" : `#${line.flow} `;
  return `${time}  ${(line.decision ?? "").padEnd(8)} ${flow}${where(line)}  ${why(line)}`;
}
