import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { spawnSandbox, type TestSandbox, withTrailers } from "./api.ts";
import { startServer, type TestServer } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ config: { "providers.mock.enabled": "true" } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

describe.each(["oci", "mock"])("exec on %s", (provider) => {
  let sandbox: TestSandbox;
  beforeAll(async () => {
    sandbox = await spawnSandbox(server, { provider });
  });
  afterAll(async () => {
    await sandbox[Symbol.asyncDispose]();
  });

  test("stdin, environment and working directory reach the command", async () => {
    const { body } = await sandbox.exec({
      command: 'cat; printf "%s" "$A"; pwd',
      stdin: "in\n",
      env: { A: "x'y\n" },
      workdir: "/tmp",
    });
    expect(body).toMatchObject({ exit_code: 0, stdout: "in\nx'y\n/tmp\n" });
  });

  test("a death by signal is 128 and its number", async () => {
    expect((await sandbox.exec({ command: "kill -9 $$" })).body.exit_code).toBe(137);
    expect((await sandbox.exec({ command: "kill -TERM $$" })).body.exit_code).toBe(143);
  });

  test("a deadline ends the whole tree within 300 ms and what was printed is kept", async () => {
    const startedAt = performance.now();
    const { status, body } = await sandbox.exec({
      command: "echo before; (setsid sleep 60 & ) ; sleep 60",
      timeout: "500ms",
    });
    const elapsedMs = performance.now() - startedAt;
    expect(status).toBe(408);
    expect(body).toMatchObject({ reason: "exec_timeout", details: { stdout: "before\n", exit_code: 137 } });
    // Twice the promise: other work shares the machine while tests run.
    expect(elapsedMs).toBeLessThan(500 + 600);
    expect((await sandbox.exec({ command: "ps | grep -c '[s]leep 60'" })).body.stdout.trim()).toBe("0");
  });

  test("output above the bound is cut at its head's end and says so", async () => {
    const { body } = await sandbox.exec({ command: "yes | head -c 100000", max_output_bytes: 1000 });
    expect([body.stdout.length, body.truncated, body.exit_code]).toEqual([1000, true, 0]);
  });

  test("a background child lives on and exec returns at once", async () => {
    const { body } = await sandbox.exec({ command: "sleep 30 & echo started" });
    expect(body).toMatchObject({ exit_code: 0, stdout: "started\n", timed_out: false });
  });

  test("the stream's last line is the exit, and both outputs come in order", async () => {
    const lines = await sandbox.lines({ command: "echo a; sleep 0.2; echo b >&2; exit 5" });
    expect(lines.map(({ stream, data }) => [stream, data])).toEqual([
      ["stdout", "a\n"],
      ["stderr", "b\n"],
      ["exit", ""],
    ]);
    expect(lines.at(-1)).toMatchObject({ exit_code: 5, timed_out: false });
  });

  test("stdout comes as raw bytes with the exit in trailers, as an attachment that no browser runs", async () => {
    const answer = await withTrailers(
      `${sandbox.url}/exec`,
      { command: "printf '\\000\\377\\n'; exit 4" },
      { accept: "application/octet-stream" },
    );
    expect([...answer.body]).toEqual([0, 255, 10]);
    expect(answer.trailers).toMatchObject({ "x-exit-code": "4", "x-timed-out": "false" });
    expect(answer.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "x-content-type-options": "nosniff",
    });
    expect(answer.headers["content-disposition"]).toMatch(/^attachment/);
    expect(answer.headers["content-security-policy"]).toMatch(/^sandbox;/);
  });

  test("what the console printed comes as an attachment that no browser runs", async () => {
    const { status, headers } = await fetch(`${sandbox.url}/logs`);
    expect([status, headers.get("x-content-type-options")]).toEqual([200, "nosniff"]);
    expect(headers.get("content-disposition")).toMatch(/^attachment/);
    expect(headers.get("content-security-policy")).toMatch(/^sandbox;/);
  });

  test("200 execs at once all answer with their own output", async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => sandbox.exec({ command: "echo", args: [String(i)], mode: "argv" })),
    );
    expect(answers.map(({ body }) => body.stdout)).toEqual(answers.map((_, i) => `${i}\n`));
  });

  test("100 MiB of output pass through a stream to the byte", async () => {
    const size = 100 * 1024 * 1024;
    const answer = await withTrailers(
      `${sandbox.url}/exec`,
      { command: `head -c ${size} /dev/zero` },
      { accept: "application/octet-stream" },
    );
    expect([answer.body.length, answer.trailers["x-exit-code"]]).toEqual([size, "0"]);
  });

  test.each([
    [{ command: "x", timeout: "soon" }, 400, "timeout"],
    [{ command: "x", timeout: "-1s" }, 429, "negative"],
    [{ command: "x", mode: "bash" }, 400, "mode"],
    [{ command: "x", args: "y" }, 400, "body"],
    [{ command: "x", env: { "A=B": "1" } }, 400, "env"],
    [{ command: "a\0b" }, 400, "NUL"],
    [{ command: "x", workdir: "/no/such/place" }, 400, "/no/such/place"],
    [{ command: "x", user: "nobody-there" }, 400, "nobody-there"],
    [{ command: "x", max_output_bytes: 1e12 }, 400, "max_output_bytes"],
  ])("bad input %j is refused and says why", async (body, status, word) => {
    const answer = await sandbox.exec(body);
    expect([answer.status, answer.body.message]).toEqual([status, expect.stringContaining(word)]);
  });
});

interface Conversation {
  readonly messages: readonly Record<string, unknown>[];
  readonly code: number;
  readonly reason: string;
}

const converse = (
  url: string,
  first: unknown,
  onMessage?: (message: Record<string, unknown>, socket: WebSocket) => void,
) =>
  new Promise<Conversation>((resolve, reject) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/exec/ws`);
    const messages: Record<string, unknown>[] = [];
    socket.on("open", () => socket.send(typeof first === "string" ? first : JSON.stringify(first)));
    socket.on("message", (data) => {
      const message = JSON.parse(String(data)) as Record<string, unknown>;
      messages.push(message);
      onMessage?.(message, socket);
    });
    socket.on("error", reject);
    socket.on("close", (code, reason) => resolve({ messages, code, reason: String(reason) }));
  });

describe("exec over a WebSocket", () => {
  let sandbox: TestSandbox;
  beforeAll(async () => {
    sandbox = await spawnSandbox(server, {});
  });
  afterAll(async () => {
    await sandbox[Symbol.asyncDispose]();
  });

  test("a bare request gives chunks, done, and a normal close", async () => {
    const { messages, code } = await converse(sandbox.url, { command: "echo hi" });
    expect([messages, code]).toEqual([[{ stream: "stdout", data: "hi\n" }, { type: "done" }], 1000]);
  });

  test("start takes input and signals, and ends with the exit", async () => {
    const { messages, code } = await converse(
      sandbox.url,
      { type: "start", command: "echo ready; read line; echo got $line; exec sleep 60" },
      (message, socket) => {
        if (message.data === "ready\n") socket.send(JSON.stringify({ type: "stdin", data: "it\n" }));
        if (message.data === "got it\n") socket.send(JSON.stringify({ type: "signal", signal: "SIGTERM" }));
      },
    );
    expect(messages).toEqual([
      { type: "stdout", data: "ready\n" },
      { type: "stdout", data: "got it\n" },
      { type: "exit", exit_code: 143, timed_out: false },
    ]);
    expect(code).toBe(1000);
  });

  test("a terminal has the size it was given and takes another", async () => {
    let resized = false;
    const { messages } = await converse(
      sandbox.url,
      { type: "start", command: "stty size; read x; stty size", cols: 91, rows: 33 },
      (_message, socket) => {
        if (resized) return;
        resized = true;
        socket.send(JSON.stringify({ type: "resize", cols: 120, rows: 40 }));
        socket.send(JSON.stringify({ type: "stdin", data: "\n" }));
      },
    );
    const text = messages.map(({ data }) => data ?? "").join("");
    expect(text).toContain("33 91");
    expect(text).toContain("40 120");
    expect(messages.at(-1)).toMatchObject({ type: "exit", exit_code: 0 });
  });

  test.each(["[", "{}{", '{"type":"stop"}', '"x"'])("the first message %s closes with 1007", async (first) => {
    expect(await converse(sandbox.url, first)).toMatchObject({ messages: [], code: 1007, reason: "invalid request" });
  });

  test("a sandbox that doesn't exist closes with 1011 and says so", async () => {
    const nowhere = sandbox.url.replace(/sb-[0-9a-f]+/, "sb-0000000000000000");
    const { messages, code } = await converse(nowhere, { command: "true" });
    expect([messages, code]).toEqual([[{ error: "sandbox not found: sb-0000000000000000" }], 1011]);
  });
});
