import { randomBytes } from "node:crypto";
import { text } from "node:stream/consumers";
import type { ProcessEvent } from "@stacyvm/contract";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { post, spawnSandbox, type TestSandbox } from "./api.ts";
import { joined, processAt, startProcess } from "./process-api.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true" } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const nowhere = "pr-0000000000000000";

describe.each(["oci", "mock"])("processes on %s", (provider) => {
  let sandbox: TestSandbox;
  beforeAll(async () => {
    sandbox = await spawnSandbox(server, { provider });
  });
  afterAll(async () => {
    await sandbox[Symbol.asyncDispose]();
  });
  const list = async () => (await (await fetch(`${sandbox.url}/processes`)).json()) as readonly { id: string }[];

  test("a process outlives the request that started it and is found by its id", async () => {
    const one = await startProcess(sandbox, {
      command: "echo ready; read line; echo got $line; exit 3",
      stdin: true,
      tag: "server",
      env: { A: "1" },
      workdir: "/tmp",
    });
    expect(one.id).toMatch(/^pr-[0-9a-f]{16}$/);
    expect(await one.get()).toMatchObject({
      id: one.id,
      state: "running",
      tag: "server",
      workdir: "/tmp",
      argv: ["sh", "-c", "echo ready; read line; echo got $line; exit 3"],
      stdin_open: true,
      pty: false,
    });
    expect((await list()).map(({ id }) => id)).toContain(one.id);
    expect(await (await one.write("it\n")).json()).toEqual({ written: 3 });
    expect(await one.wait()).toMatchObject({ state: "exited", exit: { exit_code: 3, background: false } });
    const events = await one.events();
    expect(joined(events)).toBe("ready\ngot it\n");
    expect(events.slice(-2).map(({ type }) => type)).toEqual(["live", "exit"]);
  });

  test.each([
    ["pipes", { stdin: true }],
    ["a terminal", { pty: { cols: 80, rows: 24 } }],
  ])(
    "a process that closes its own stdio on %s runs on, its followers wait, and its exit is the true one",
    async (_what, how) => {
      const go = `/tmp/go-${randomBytes(6).toString("hex")}`;
      const back = "pty" in how ? "echo after > /dev/tty; " : "";
      const command = `echo before; exec <&- >&- 2>&-; while ! test -e ${go}; do sleep 0.05; done; ${back}exit 5`;
      const one = await startProcess(sandbox, { command, ...how });
      const followed = Array.fromAsync(one.follow());
      await vi.waitFor(async () => expect((await one.bytes()).toString()).toContain("before"));
      expect(await one.wait("200ms")).toMatchObject({ state: "running" });
      expect(await one.get()).not.toHaveProperty("exit");
      expect(await (await one.write("nobody reads this\n")).json()).toEqual({ written: 18 });
      await sandbox.exec({ command: `touch ${go}` });
      expect(await one.wait()).toMatchObject({ state: "exited", exit: { exit_code: 5, background: false } });
      const events = await followed;
      expect(joined(events).replaceAll("\r", "")).toMatch("pty" in how ? /^before\n.*after\n$/s : /^before\n$/);
      expect(events.at(-1)).toMatchObject({ type: "exit", exit: { exit_code: 5 } });
    },
  );

  test("use and children are told while it runs", async () => {
    const one = await startProcess(sandbox, { command: "sleep 61 & sleep 62" });
    await vi.waitFor(async () => {
      const names = ((await one.get()).children ?? []).map(({ name }) => name);
      expect(names.filter((name) => name === "sleep")).toHaveLength(2);
    });
    const { processes, memory_bytes: memory } = await one.get();
    expect(processes).toBeGreaterThanOrEqual(2);
    expect(memory).toBeGreaterThan(0);
    expect((await one.signal("SIGTERM")).status).toBe(200);
    expect(await one.wait()).toMatchObject({ exit: { exit_code: 143, signal: 15 } });
    // What the command started dies by the same signal, but not before it.
    await expect.poll(() => one.get()).toMatchObject({ state: "exited", children: [], processes: 0 });
  });

  test("output replays from any offset, byte for byte, whatever the bytes are", async () => {
    const one = await startProcess(sandbox, {
      command: "printf '\\000\\377\\303\\251'; printf 'err\\n' >&2; printf end",
    });
    await one.wait();
    const all = await one.bytes();
    expect([...all].sort()).toEqual([...Buffer.from("\0\xff\xc3\xa9err\nend", "latin1")].sort());
    for (let offset = 0; offset <= all.length; offset += 1)
      expect(await one.bytes(offset)).toEqual(all.subarray(offset));
    const { first_offset: first, next_offset: next } = await one.get();
    expect([first, next]).toEqual([0, all.length]);
  });

  test("following goes from the replay over live to the exit", async () => {
    const one = await startProcess(sandbox, { command: "echo first; read x; echo second", stdin: true });
    await vi.waitFor(async () => expect((await one.bytes()).toString()).toBe("first\n"));
    const events: ProcessEvent[] = [];
    for await (const event of one.follow()) {
      events.push(event);
      if (event.type === "live") await one.write("\n");
    }
    expect(events.map(({ type }) => type)).toEqual(["output", "live", "output", "exit"]);
    expect(events.at(1)?.offset).toBe(6);
    expect(joined(events)).toBe("first\nsecond\n");
  });

  test("what the ring has lost is a gap whose ends fit what stands around it", async () => {
    const size = 5 * 1024 * 1024;
    const one = await startProcess(sandbox, { command: `head -c ${size} /dev/zero; printf tail` });
    await one.wait();
    const events = await one.events();
    const { first_offset: first } = await one.get();
    expect(first).toBeGreaterThan(0);
    expect(events[0]).toEqual({ type: "gap", offset: 0, until: first });
    let next = first;
    for (const event of events.filter(({ type }) => type === "output")) {
      expect(event.offset).toBe(next);
      next += Buffer.from(event.data ?? "", "base64").length;
    }
    expect([next, joined(events).slice(-4)]).toEqual([size + 4, "tail"]);
    const raw = await fetch(`${one.url}/output`, { headers: { accept: "application/octet-stream" } });
    expect(raw.headers.get("x-output-offset")).toBe(String(first));
    expect((await raw.arrayBuffer()).byteLength).toBe(size + 4 - first);
  });

  test("bytes of a process that says nothing yet begin with the answer's head", async () => {
    const one = await startProcess(sandbox, { command: "read x; echo $x", stdin: true });
    const answer = await fetch(`${one.url}/output?follow=true`, { headers: { accept: "application/octet-stream" } });
    expect([answer.status, answer.headers.get("x-output-offset")]).toEqual([200, "0"]);
    await one.write("said\n");
    expect(await answer.text()).toBe("said\n");
  });

  test("server-sent events carry offsets as ids, and go on where the last id says", async () => {
    const one = await startProcess(sandbox, { command: "printf abc" });
    await one.wait();
    const accept = "text/event-stream";
    const whole = await (await fetch(`${one.url}/output`, { headers: { accept } })).text();
    expect(whole).toContain('id: 3\ndata: {"type":"output","stream":"stdout","offset":0,"data":"abc"}\n\n');
    const rest = await (await fetch(`${one.url}/output`, { headers: { accept, "last-event-id": "2" } })).text();
    expect(rest).toContain('"offset":2,"data":"c"');
    const wrong = await fetch(`${one.url}/output`, { headers: { accept, "last-event-id": "x" } });
    expect([wrong.status, ((await wrong.json()) as { message: string }).message]).toEqual([
      400,
      expect.stringContaining("Last-Event-ID"),
    ]);
  });

  test("in text a character that arrives in pieces is whole, and each stream keeps its own", async () => {
    const command = "printf '\\303'; sleep 0.2; printf 'x' >&2; sleep 0.2; printf '\\251'";
    const one = await startProcess(sandbox, { command });
    const lines = await text((await fetch(`${one.url}/output?follow=true`)).body as never);
    expect(lines).toContain('"stream":"stdout","offset":2,"data":"é"');
    expect(lines).toContain('"stream":"stderr","offset":1,"data":"x"');
  });

  test("a terminal has its size, takes another, and turns Ctrl-C into a signal", async () => {
    const one = await startProcess(sandbox, {
      command: "stty size; read x; stty size; sleep 63; echo not reached",
      pty: { cols: 91, rows: 33 },
    });
    await vi.waitFor(async () => expect((await one.bytes()).toString()).toContain("33 91"));
    expect((await post(`${one.url}/resize`, { cols: 120, rows: 40 })).status).toBe(200);
    await one.write("\n");
    await vi.waitFor(async () => expect((await one.bytes()).toString()).toContain("40 120"));
    await vi.waitFor(async () => expect(((await one.get()).children ?? []).map(({ name }) => name)).toContain("sleep"));
    await one.write("\x03");
    expect((await one.wait()).exit).toMatchObject({ exit_code: 130 });
    expect((await one.bytes()).toString()).not.toContain("not reached");
  });

  test("several megabytes of input arrive whole, and closing it twice is no error", async () => {
    const size = 3 * 1024 * 1024 + 17;
    const one = await startProcess(sandbox, { command: "md5sum", stdin: true });
    const bytes = Buffer.alloc(size, "stacyvm ");
    const input = new Blob([bytes]).stream();
    expect(await (await one.write(input)).json()).toEqual({ written: size });
    for (let i = 0; i < 2; i += 1) {
      expect((await fetch(`${one.url}/stdin`, { method: "DELETE" })).status).toBe(200);
    }
    await one.wait();
    const { createHash } = await import("node:crypto");
    expect((await one.bytes()).toString()).toContain(createHash("md5").update(bytes).digest("hex"));
    expect((await one.write("late")).status).toBe(409);
  });

  test("a wait is over at its time and says what is", async () => {
    const one = await startProcess(sandbox, { command: "exec sleep 64" });
    expect((await one.wait("20ms")).state).toBe("running");
    expect((await one.wait("0s")).exit).toBeUndefined();
    const waiting = one.wait("1m");
    await one.signal("SIGKILL");
    expect((await waiting).exit).toMatchObject({ exit_code: 137, signal: 9 });
    expect((await one.signal("SIGKILL")).status).toBe(409);
  });

  test("a deadline ends the whole tree", async () => {
    const one = await startProcess(sandbox, { command: "(setsid sleep 65 &) ; sleep 65", timeout: "300ms" });
    expect(await one.wait()).toMatchObject({ exit: { timed_out: true, exit_code: 137 } });
    await vi.waitFor(async () => expect((await one.get()).processes).toBe(0));
  });

  test("what it started lives on after its exit, and its output is followed to the end", async () => {
    const one = await startProcess(sandbox, {
      command: "(while ! test -e /tmp/go; do sleep 0.02; done; echo later) & echo now; exit 4",
    });
    expect(await one.wait()).toMatchObject({ state: "background", exit: { exit_code: 4, background: true } });
    const following = one.events("&follow=true");
    await sandbox.exec({ command: "touch /tmp/go" });
    const events = await following;
    expect(joined(events)).toBe("now\nlater\n");
    expect(events.filter(({ type }) => type === "exit")).toHaveLength(1);
    expect(await one.get()).toMatchObject({ state: "exited", exit: { exit_code: 4 } });
  });

  test("a command that isn't there is an exit of 127 with a line that says so", async () => {
    const one = await startProcess(sandbox, { command: "no-such-program", mode: "argv" });
    expect(await one.wait()).toMatchObject({ state: "exited", pid: 0, exit: { exit_code: 127 } });
    expect((await one.bytes()).toString()).toBe("no-such-program: command not found\n");
  });

  test("a burst of commands doesn't make an ended process forgotten", async () => {
    const one = await startProcess(sandbox, { command: "echo kept" });
    await one.wait();
    for (let round = 0; round < 6; round += 1) {
      await Promise.all(Array.from({ length: 20 }, () => sandbox.exec({ command: "true" })));
    }
    expect((await one.bytes()).toString()).toBe("kept\n");
    expect((await list()).every(({ id }) => id.startsWith("pr-"))).toBe(true);
  });

  test.each([
    [{ command: "x", mode: "bash" }, "mode must be one of shell, argv"],
    [{ command: "" }, "command must not be empty"],
    [{}, "command"],
    [{ command: "x", timeout: "soon" }, "timeout"],
    [{ command: "x", timeout: "0s" }, "timeout must be from 1ms to 720h0m0s"],
    [{ command: "x", timeout: "721h" }, "timeout must be from 1ms to 720h0m0s"],
    [{ command: "x", pty: { cols: 0, rows: 1 } }, "pty.cols must be 1 or more"],
    [{ command: "x", pty: { cols: 1001, rows: 1 } }, "pty.cols must be 1000 or less"],
    [{ command: "x", pty: { cols: 80 } }, "pty.rows"],
    [{ command: "x", stdin: "text" }, "stdin must be boolean"],
    [{ command: "x", tag: "t".repeat(65) }, "tag must be 64 characters or fewer"],
    [{ command: "x", env: { "A=B": "1" } }, "env"],
    [{ command: "x", wait: true }, "wait is not a known field"],
    [{ command: "x", workdir: "/no/such/place" }, "/no/such/place"],
    [{ command: "x", user: "nobody-there" }, "nobody-there"],
  ])("a start with %j is refused and says why", async (body, words) => {
    const answer = await post(`${sandbox.url}/processes`, body);
    const { message } = (await answer.json()) as { message: string };
    expect([answer.status, message]).toEqual([400, expect.stringContaining(words)]);
  });
});

describe("processes, whatever the provider", () => {
  let sandbox: TestSandbox;
  beforeAll(async () => {
    sandbox = await spawnSandbox(server, { provider: "mock" });
  });
  afterAll(async () => {
    await sandbox[Symbol.asyncDispose]();
  });

  test.each([
    ["GET", "/output?offset=-1", undefined, "offset cannot be negative"],
    ["GET", "/output?offset=x", undefined, "offset must be number"],
    ["GET", "/output?follow=maybe", undefined, "follow must be one of true, false"],
    ["GET", "/output?encoding=hex", undefined, "encoding must be one of text, base64"],
    ["GET", "/wait?timeout=11m", undefined, "timeout must be from 0s to 10m0s"],
    ["GET", "/wait?timeout=-1s", undefined, "timeout must be from 0s to 10m0s"],
    ["GET", "/wait?timeout=later", undefined, "timeout"],
    ["POST", "/signal", { signal: "SIGNAL" }, "signal must be one of SIGHUP, SIGINT"],
    ["POST", "/signal", {}, "signal must be one of"],
    ["POST", "/resize", { cols: 80, rows: 0 }, "rows must be 1 or more"],
    ["POST", "/resize", { cols: 80, rows: 24, depth: 8 }, "depth is not a known field"],
  ])("%s %s with %j is refused and says why", async (method, path, body, words) => {
    const one = await startProcess(sandbox, { command: "true" });
    const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const answer = await fetch(`${one.url}${path}`, init);
    const { message } = (await answer.json()) as { message: string };
    expect([answer.status, message]).toEqual([400, expect.stringContaining(words)]);
  });

  test.each([
    ["GET", ""],
    ["GET", "/output"],
    ["GET", "/wait"],
    ["POST", "/stdin"],
    ["DELETE", "/stdin"],
  ])("%s %s of a process that isn't there, or of a pid, is not found", async (method, path) => {
    for (const id of [nowhere, "1", "pr-1", "..%2f"]) {
      const answer = await fetch(`${sandbox.url}/processes/${id}${path}`, { method });
      expect([answer.status, ((await answer.json()) as { reason: string }).reason]).toEqual([404, "process_not_found"]);
    }
  });

  test("one sandbox's process can't be reached through another sandbox", async () => {
    await using other = await spawnSandbox(server, { provider: "mock" });
    const one = await startProcess(sandbox, { command: "exec sleep 66" });
    const through = processAt(other.url, one.started);
    await expect(through.get()).rejects.toThrow("404");
    expect((await through.signal("SIGKILL")).status).toBe(404);
    expect((await one.get()).state).toBe("running");
    await one.signal("SIGKILL");
  });

  test("resizing what has no terminal, and input for what takes none, is a conflict", async () => {
    const one = await startProcess(sandbox, { command: "exec sleep 67" });
    expect((await post(`${one.url}/resize`, { cols: 80, rows: 24 })).status).toBe(409);
    const refused = await one.write("x");
    expect([refused.status, ((await refused.json()) as { reason: string }).reason]).toEqual([
      409,
      "process_state_conflict",
    ]);
    await one.signal("SIGKILL");
  });

  test("a watcher that doesn't read never stalls the process, and gets a gap", async () => {
    const size = 64 * 1024 * 1024;
    const one = await startProcess(sandbox, { command: `read x; head -c ${size} /dev/zero; printf end`, stdin: true });
    const answer = await fetch(`${one.url}/output?follow=true&encoding=base64`);
    await one.write("\n");
    // The process ends although nobody has read a byte.
    expect((await one.wait()).exit).toMatchObject({ exit_code: 0 });
    const events = (await answer.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const gaps = events.filter(({ type }) => type === "gap");
    const received = events.reduce((sum, { data = "" }) => sum + Buffer.from(data, "base64").length, 0);
    const lost = gaps.reduce((sum, { offset, until }) => sum + until - offset, 0);
    expect(gaps.length).toBeGreaterThan(0);
    expect([received + lost, joined(events).slice(-3), events.at(-1).type]).toEqual([size + 3, "end", "exit"]);
  });

  test("a destroyed sandbox ends what is followed in it", async () => {
    const doomed = await spawnSandbox(server, { provider: "mock" });
    const one = await startProcess(doomed, { command: "echo here; exec sleep 68" });
    const answer = await fetch(`${one.url}/output?follow=true`);
    await doomed[Symbol.asyncDispose]();
    await expect(answer.text()).rejects.toThrow();
    expect((await fetch(one.url)).status).toBe(404);
  });
});
