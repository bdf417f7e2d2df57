import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, onTestFinished, test } from "vitest";
import type { Guest } from "../guest.ts";
import { EntryInfoSchema, Filesystem } from "../wire/filesystem/filesystem_pb.js";
import {
  ChildProcessSchema,
  ExecEventSchema,
  Guest as GuestService,
  ProcessDetailSchema,
  ProcessState,
} from "../wire/stacyvm/guest/v1/guest_pb.js";
import { connectGuest } from "./connect-guest.ts";
import { fileEntry } from "./entries.ts";
import { decodeEnvelopeHeader } from "./envelope.ts";
import { execEvent } from "./exec-events.ts";
import { agentText } from "./failures.ts";
import { processInfo, processMember } from "./process-info.ts";

// The numbers are written out: a bound that somebody raises has to be raised here too.
const fault = expect.objectContaining({ reason: "guest_protocol" });
const x = (length: number) => "x".repeat(length);
const never = () => new AbortController().signal;

test.each([
  ["a path", 4351, (n: number) => fileEntry(create(EntryInfoSchema, { path: `/${x(n - 1)}` }))],
  [
    "a process id of a stream",
    64,
    (n: number) => execEvent(create(ExecEventSchema, { event: { case: "start", value: { processId: x(n) } } })),
  ],
  ...(["processId", "cwd", "user", "tag"] as const).map(
    (field) =>
      [
        `a process's ${field}`,
        4096,
        (n: number) => processInfo(create(ProcessDetailSchema, { state: ProcessState.RUNNING, [field]: x(n) })),
      ] as const,
  ),
  ["a member's name", 4096, (n: number) => processMember(create(ChildProcessSchema, { name: x(n) }))],
  [
    "a message",
    8 * 1024 ** 2,
    (n: number) => {
      const header = Buffer.alloc(5);
      header.writeUInt32BE(n, 1);
      return decodeEnvelopeHeader(header, 0);
    },
  ],
] as const)("%s of an agent may have %d, not one more", (_, most, take) => {
  expect(() => take(most)).not.toThrow();
  expect(() => take(most + 1)).toThrow(fault);
});

test("a text of an agent is cut at 500 characters", () => {
  expect(agentText(x(500))).toHaveLength(500);
  expect(agentText(x(501))).toHaveLength(500);
});

/** A guest behind an agent that lies. */
const hostile = async (routes: (router: ConnectRouter) => void): Promise<Guest> => {
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-hostile-"));
  const path = join(directory, "socket");
  const server = createServer(connectNodeAdapter({ routes }));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const guest = connectGuest({ label: "hostile", dial: () => connect(path) });
  onTestFinished(async () => {
    await guest[Symbol.asyncDispose]();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  });
  return guest;
};

test("a listing, a glob, ports, processes and members are taken to their bounds, not one more", async () => {
  let more = 0;
  const many = <T>(most: number, make: () => T): T[] => Array.from({ length: most + more }, make);
  const running = { processId: "p", state: ProcessState.RUNNING };
  const guest = await hostile((router) =>
    router
      .service(Filesystem, { listDir: () => ({ entries: many(100_000, () => ({ path: "/x" })) }) })
      .service(GuestService, {
        glob: () => ({ paths: many(100_000, () => "/x") }),
        listPorts: () => ({ ports: many(4096, () => ({ port: 80 })) }),
        listProcesses: () => ({ processes: many(4096, () => running) }),
        getProcess: () => ({ process: running, members: many(4096, () => ({ pid: 1 })) }),
      }),
  );
  const asked = {
    listing: () => guest.list("/", never()),
    glob: () => guest.glob("/*", never()),
    ports: () => guest.ports.list(never()),
    processes: () => guest.processes.list(never()),
    members: () => guest.processes.get("p", never()),
  };
  for (const [what, ask] of Object.entries(asked)) await expect(ask(), what).resolves.toBeDefined();
  more = 1;
  for (const [what, ask] of Object.entries(asked)) await expect(ask(), what).rejects.toThrow(fault);
});
