import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { Egress } from "../egress/egress.ts";
import { createGateway } from "../egress/gateway.ts";
import { sandboxKeys } from "../egress/sandbox-keys.ts";
import { systemClock } from "../lib/clock.ts";
import { builtNativeDir } from "../lib/native-dir.ts";
import { parseRule } from "../lib/network-rule.ts";
import { Secret } from "../lib/secret.ts";
import { publicPolicy } from "../sandbox/network-policy.ts";
import { signal } from "./contract/suite.testing.ts";
import type { Provider, Runtime, SandboxSpec } from "./provider.ts";

/** What an agent asks on a slot; `native/internal/egresswire` says what each member means. */
export interface EgressRequest {
  readonly open: "tcp" | "resolve" | "dns";
  readonly host?: string;
  readonly address?: string;
  readonly port?: number;
  readonly message?: string;
}

/** An answer, and for a connection what is done with its bytes from then on. */
export interface EgressAnswer {
  readonly answer: { readonly ok: true; readonly ttl?: number } | { readonly error: string; readonly message?: string };
  readonly carry?: (slot: Socket) => void;
}

/** A stand-in for the egress gateway: keeps slots at a door and answers what comes by the function. */
export const standInGateway = (path: string, serve: (request: EgressRequest) => EgressAnswer) => {
  const slots = new Set<Socket>();
  let ended = false;

  const frame = (value: unknown): Buffer => {
    const json = Buffer.from(JSON.stringify(value));
    const head = Buffer.alloc(2);
    head.writeUInt16BE(json.length);
    return Buffer.concat([head, json]);
  };

  const offer = (): void => {
    if (ended) return;
    const slot = connect({ path, allowHalfOpen: true });
    slots.add(slot);
    slot.on("error", () => {});
    slot.once("close", () => slots.delete(slot));
    slot.write("F");
    let got = Buffer.alloc(0);
    const read = (piece: Buffer): void => {
      got = Buffer.concat([got, piece]);
      if (got.length < 2 || got.length < 2 + got.readUInt16BE(0)) return;
      const end = 2 + got.readUInt16BE(0);
      const request = JSON.parse(got.subarray(2, end).toString()) as EgressRequest;
      const rest = got.subarray(end);
      got = Buffer.alloc(0);
      const { answer, carry } = serve(request);
      slot.write(frame(answer));
      if (request.open !== "tcp") return;
      offer();
      slot.off("data", read);
      if (carry === undefined) return void slot.end();
      slot.pause();
      if (rest.length > 0) slot.unshift(rest);
      carry(slot);
    };
    slot.on("data", read);
  };
  for (let i = 0; i < 4; i++) offer();

  return {
    /** Ends every connection at once, as the death of the program would. */
    kill(): void {
      ended = true;
      for (const slot of slots) slot.destroy();
    },
  };
};

/** Resolves every name, and answers each connection like a web server that says where it was connected to. */
export const web = (request: EgressRequest): EgressAnswer => ({
  answer: { ok: true, ttl: 60 },
  carry: (slot) => {
    const body = `${request.host ?? request.address}:${request.port}\n`;
    slot.end(`HTTP/1.0 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`).resume();
  },
});

/** With a sandbox and the path of its egress door, empty where it has none; destroyed afterwards. */
export async function withDoor(
  provider: Provider,
  spec: SandboxSpec,
  body: (runtime: Runtime, path: string) => Promise<void>,
): Promise<void> {
  const runtime = await provider.spawn(spec, signal());
  try {
    await body(runtime, runtime.egressDoor?.path ?? "");
  } finally {
    await runtime.destroy(signal());
  }
}

/** The real gateway, which lets every sandbox to one address and port of this host, for example "127.0.0.1/32:8080". */
export const realGateway = (open: string, user: number | undefined): Egress => {
  const { cidr = "", ports } = parseRule(open);
  return createGateway({
    programPath: join(builtNativeDir, "stacyvm-egress"),
    serverPolicy: publicPolicy,
    resolvers: [],
    open: [{ cidr, ports }],
    limits: { connections: 0, connectionsPerSecond: 0, bandwidthBytes: 0, idleTimeoutMs: 0 },
    keys: sandboxKeys(new Secret("k".repeat(64))),
    roots: "",
    user,
    clock: systemClock,
    beforeStart: async () => {},
    onDecision: () => {},
    onEnd: () => {},
  });
};
