import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, type FolderEvent, type Sandbox } from "../../packages/sdk/src/index.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
let client: Client;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true" } });
  client = new Client(server.url);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

describe.each(["oci", "mock"])("watching a folder on %s", (provider) => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await client.spawn({ provider });
  });
  afterAll(async () => {
    await sandbox.destroy();
  });
  const sh = async (command: string) => expect((await sandbox.exec(command)).exit_code).toBe(0);

  /** Follows a folder; `act` runs once changes are told. Resolves to what came until `done` or the end. */
  const changesIn = async (
    path: string,
    options: { readonly recursive?: boolean },
    act: () => Promise<unknown>,
    done: (events: readonly FolderEvent[]) => boolean,
  ): Promise<readonly FolderEvent[]> => {
    const events: FolderEvent[] = [];
    let acting: Promise<unknown> | undefined;
    for await (const event of sandbox.files.watch(path, options)) {
      acting ??= act();
      if (event.type === "live") continue;
      events.push(event);
      if (done(events)) break;
    }
    await acting;
    return events;
  };
  const names = (events: readonly FolderEvent[]) => events.map(({ type, path }) => `${type} ${path ?? ""}`.trim());

  test("tells what is made, written, renamed, given another mode and removed, below it where told to", async () => {
    await sh("rm -rf w && mkdir -p w/sub");
    const events = await changesIn(
      "w",
      { recursive: true },
      () => sh("cd w && echo 1 > sub/a && mv sub/a sub/b && chmod 600 sub/b && rm sub/b && mkdir end"),
      (seen) => names(seen).includes("created /workspace/w/end"),
    );
    const order = [
      "created /workspace/w/sub/a",
      "written /workspace/w/sub/a",
      "renamed /workspace/w/sub/a",
      "created /workspace/w/sub/b",
      "mode_changed /workspace/w/sub/b",
      "removed /workspace/w/sub/b",
      "created /workspace/w/end",
    ];
    expect(names(events).filter((name) => order.includes(name))).toEqual(order);
  });

  test("tells nothing of what lies deeper unless told to", async () => {
    await sh("rm -rf flat && mkdir -p flat/sub");
    const events = await changesIn(
      "flat",
      {},
      () => sh("echo 1 > flat/sub/deep && mkdir flat/end"),
      (seen) => names(seen).includes("created /workspace/flat/end"),
    );
    expect(names(events)).toEqual(["created /workspace/flat/end"]);
  });

  test.each([
    ["removed", "rm -rf gone"],
    ["renamed", "mv gone elsewhere"],
  ])("ends by saying so when the folder itself is %s", async (_how, command) => {
    await sh("rm -rf gone elsewhere && mkdir gone");
    const events = await changesIn(
      "gone",
      {},
      () => sh(command),
      () => false,
    );
    expect(events.at(-1)).toEqual({ type: "gone" });
  });

  test("says that changes were lost when they come faster than they are read", async () => {
    await sh("rm -rf storm && mkdir storm");
    const answer = await fetch(`${server.url}/api/v1/sandboxes/${sandbox.id}/files/watch?path=storm`);
    await sh("cd storm; seq 1 3000 > ../names; for n in $(seq 1 20); do xargs touch < ../names; done");
    const lines = (await answer.text()).split("\n").filter((line) => line.startsWith("data:"));
    expect(lines[0]).toBe('data: {"type":"live"}');
    expect(lines.at(-1)).toBe('data: {"type":"overflow"}');
  });

  test("what can't be watched is an answer of its own, before any event", async () => {
    await sandbox.files.write("file", "x");
    const watched = async (query: string) => {
      const answer = await fetch(`${server.url}/api/v1/sandboxes/${sandbox.id}/files/watch?${query}`);
      return [answer.status, ((await answer.json()) as { reason: string }).reason];
    };
    expect(await watched("path=missing")).toEqual([404, "file_not_found"]);
    expect(await watched("path=file")).toEqual([400, "not_a_directory"]);
    expect(await watched("")).toEqual([400, "path_required"]);
    expect(await watched("path=/&recursive=maybe")).toEqual([400, "invalid_input"]);
    expect(await watched("path=/&depth=2")).toEqual([400, "invalid_input"]);
  });

  test("a client that goes away frees its watch", async () => {
    const leave = async () => {
      for await (const { type } of sandbox.files.watch("/workspace")) if (type === "live") return;
    };
    // More than an agent watches at once.
    for (let n = 0; n < 80; n += 1) await leave();
  });
});
