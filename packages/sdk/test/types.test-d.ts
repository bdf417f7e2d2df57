import {
  type CallOptions,
  Client,
  type ExecBytes,
  type ExecExit,
  type ExecResult,
  handleResponse,
  parseNDJSON,
  type Sandbox,
  type SandboxInfo,
  SandboxNotFoundError,
  type StacyVMClientConfig,
  type StacyVMClientOptions,
  type StacyVMError,
  type StreamChunk,
  type Template,
} from "stacyvm";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only for a value of exactly the named type. */
declare function exactly<Wanted>(): <Got>(value: Got) => Same<Wanted, Got> extends true ? void : never;

/** Never called: that it compiles is the test. */
export async function surface(client: Client, sandbox: Sandbox, signal: AbortSignal): Promise<void> {
  const config: StacyVMClientConfig = { host: "h", port: 1, apiKey: "k", userId: "u", timeout: 5, retry: false };
  const options: StacyVMClientOptions = "http://localhost:7423";
  const limits: CallOptions = { signal, timeoutMs: 1000 };
  new Client(config);
  new Client(options);

  exactly<Sandbox>()(await client.spawn({ image: "i", memory_mb: 1, ttl: "1m", metadata: { a: "b" } }, limits));
  exactly<number>()(await client.prune());
  exactly<Template>()(await client.templates.get("t"));
  exactly<number>()(await client.withSandbox({}, () => 1));
  const list: SandboxInfo[] = await client.list();
  const cursor: string | undefined = (await client.list({ limit: 10 })).nextCursor;
  for await (const info of client.listAll({ state: "running" })) exactly<SandboxInfo>()(info);
  for await (const event of client.events({ signal })) exactly<string>()(event.type);

  exactly<ExecResult>()(await sandbox.exec("ls", { args: ["-l"], mode: "argv", timeout: "5s", user: "root", signal }));
  exactly<ExecBytes>()(await sandbox.exec("ls", { output: "bytes" }));
  const stream = sandbox.execStream("ls");
  const generator: AsyncGenerator<StreamChunk> = stream;
  for await (const chunk of stream) exactly<StreamChunk>()(chunk);
  exactly<ExecExit>()(await stream.done);

  const bytes: Uint8Array = await sandbox.files.read("f", { range: { start: 0, end: 1 } });
  const readable: ReadableStream<Uint8Array> = await sandbox.files.stream("f");
  await sandbox.files.write("f", readable, { mode: "0600" });
  await sandbox.files.write("f", bytes);
  exactly<string>()(await sandbox.readFile("f"));
  exactly<Sandbox>()(await sandbox.refresh());

  exactly<Response>()(await handleResponse(new Response("")));
  const chunks: AsyncGenerator<StreamChunk> = parseNDJSON(readable);
  const base: StacyVMError = new SandboxNotFoundError("sb-1");
  exactly<string | undefined>()(base.reason);

  // @ts-expect-error a mode is one of two words
  await sandbox.exec("ls", { mode: "bash" });
  // @ts-expect-error a timeout is a duration with a unit
  await sandbox.exec("ls", { timeout: 5 });
  // @ts-expect-error memory is a number of mebibytes
  await client.spawn({ memory_mb: "512m" });
  // @ts-expect-error ids are the server's to give
  sandbox.id = "x";
  void [list, cursor, generator, chunks];
}
