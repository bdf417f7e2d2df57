/**
 * What somebody does with the client, in any runtime: told as plain data, for a test to compare.
 * @param {typeof import("stacyvm")} sdk
 * @param {{ url: string, apiKey: string }} server
 */
export async function drive(sdk, { url, apiKey }) {
  const client = new sdk.Client({ baseUrl: url, apiKey });
  const sandbox = await client.spawn({ ttl: "10m" });
  try {
    return {
      state: sandbox.state,
      ...(await commands(sandbox)),
      ...(await files(sandbox)),
      ...(await pages(client)),
      ...(await failures(sdk, client, sandbox)),
    };
  } finally {
    await sandbox.destroy();
  }
}

/** @param {import("stacyvm").Sandbox} sandbox */
async function commands(sandbox) {
  const { exit_code, stdout, stderr } = await sandbox.exec("cat; echo err >&2; exit 3", { stdin: "it's é\n" });
  const { stdout: argv } = await sandbox.exec("printf", { mode: "argv", args: ["%s|", "$HOME", "a b"] });
  const raw = await sandbox.exec("printf '\\377\\000\\200'", { output: "bytes" });
  const stream = sandbox.execStream("printf a; sleep 0.1; printf b >&2; exit 5");
  const chunks = [];
  for await (const chunk of stream) chunks.push([chunk.stream, chunk.data]);
  return {
    exec: { exit_code, stdout, stderr },
    argv,
    raw: [...raw.stdout],
    streamed: { chunks, exit_code: (await stream.done).exit_code },
    left: await leaveLoop(sandbox),
  };
}

/**
 * Leaving the loop over a stream ends its command. Resolves once the process is gone.
 * @param {import("stacyvm").Sandbox} sandbox
 */
async function leaveLoop(sandbox) {
  let pid = "";
  for await (const { data } of sandbox.execStream("echo $$; exec sleep 600")) {
    pid = data.trim();
    break;
  }
  while ((await sandbox.exec(`kill -0 ${pid}`)).exit_code === 0);
  return /^\d+$/.test(pid);
}

/** @param {import("stacyvm").Sandbox} sandbox */
async function files(sandbox) {
  const all = Uint8Array.from({ length: 256 }, (_, at) => at);
  await sandbox.files.write("bytes.bin", all, { mode: "0600" });
  await sandbox.files.write("d/text é.txt", "grüße\n");
  const parts = [];
  const reader = (await sandbox.files.stream("bytes.bin")).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(...part.value);
  const { path, size, mode } = await sandbox.files.stat("bytes.bin");
  return {
    bytes: String(await sandbox.files.read("bytes.bin")) === String(all),
    stream: String(parts) === String(all),
    range: [...(await sandbox.files.read("bytes.bin", { range: { start: 254 } }))],
    text: await sandbox.files.readText("d/text é.txt"),
    stat: { path, size, mode },
    listed: (await sandbox.files.list("d")).map((file) => file.path),
  };
}

/** @param {import("stacyvm").Client} client */
async function pages(client) {
  const second = await client.spawn({ ttl: "10m" });
  const firstPage = await client.list({ limit: 1 });
  let found = 0;
  for await (const _ of client.listAll({ limit: 1, state: "running" })) found += 1;
  await second.destroy();
  return { cursor: firstPage.nextCursor !== undefined, found, leftOver: (await client.list()).length };
}

/**
 * @param {typeof import("stacyvm")} sdk
 * @param {import("stacyvm").Client} client
 * @param {import("stacyvm").Sandbox} sandbox
 */
async function failures(sdk, client, sandbox) {
  /** @param {Promise<unknown>} call */
  const failed = (call) => call.then(() => undefined).catch((/** @type {unknown} */ error) => error);
  const unknown = await failed(client.get("sb-0000000000000000"));
  const missing = await failed(sandbox.files.read("nowhere"));
  const late = await failed(sandbox.exec("echo early; sleep 60", { timeout: "200ms" }));
  const stop = new AbortController();
  const stopped = failed(sandbox.exec("sleep 60", { signal: stop.signal }));
  stop.abort(new Error("enough"));
  const nobody = await failed(new sdk.Client({ baseUrl: "http://127.0.0.1:9", retry: false }).health());
  return {
    errors: [unknown, missing, late, nobody].map((error) =>
      error instanceof sdk.StacyVMError ? [error.name, error.code, error.reason] : String(error),
    ),
    isNotFound: unknown instanceof sdk.SandboxNotFoundError,
    requestId: late instanceof sdk.StacyVMError && late.requestId !== undefined,
    stopped: String(await stopped),
  };
}
