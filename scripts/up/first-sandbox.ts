export interface FirstSandboxOptions {
  readonly url: string;
  /** False destroys it at the end. */
  readonly keep: boolean;
}

/** Makes a sandbox, runs a command, reads a file back, and says how long each took and what to try next. */
export async function firstSandbox({ url, keep }: FirstSandboxOptions): Promise<void> {
  const api = `${url}/api/v1/sandboxes`;
  const startedAt = performance.now();
  const sandbox = (await call(api, "POST", {})) as { id: string };
  const madeMs = performance.now() - startedAt;
  const here = `${api}/${sandbox.id}`;

  const command = "echo hello from $(hostname) > hello.txt && cat hello.txt";
  const [ran, ranMs] = await timed(() => call(`${here}/exec`, "POST", { command }));
  const [again, againMs] = await timed(() => call(`${here}/exec`, "POST", { command: "true" }));
  const [text, readMs] = await timed(async () => await (await fetch(`${here}/files?path=hello.txt`)).text());
  const { stdout, exit_code: exitCode } = ran as { stdout: string; exit_code: number };
  if (exitCode !== 0 || text !== stdout || (again as { exit_code: number }).exit_code !== 0) {
    throw new Error(`the first sandbox answered wrongly: ${JSON.stringify({ ran, again, text })}`);
  }
  console.log(`sandbox  ${sandbox.id} in ${madeMs.toFixed(0)} ms`);
  console.log(`exec     ${stdout.trim()} (${ranMs.toFixed(1)} ms; again: ${againMs.toFixed(1)} ms)`);
  console.log(`file     hello.txt read back (${readMs.toFixed(1)} ms)`);
  if (!keep) {
    const [, goneMs] = await timed(() => call(here, "DELETE"));
    console.log(`destroy  ${goneMs.toFixed(0)} ms`);
    return;
  }
  const at = url.endsWith(":7423") ? "" : `--server ${url} `;
  console.log("\nTry next:");
  console.log(`  node_modules/.bin/stacyvm ${at}exec ${sandbox.id} -- ls -la /`);
  console.log(`  curl -s ${here}/exec -d '{"command":"for i in 1 2 3; do date; sleep 1; done","stream":true}'`);
  console.log(`  node_modules/.bin/stacyvm ${at}spawn --ttl 10m`);
}

async function call(url: string, method: string, body?: object): Promise<unknown> {
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

async function timed<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  const startedAt = performance.now();
  return [await work(), performance.now() - startedAt];
}
