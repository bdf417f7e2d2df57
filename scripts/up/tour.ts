import { step, timed } from "./terminal.ts";

/** Milliseconds for one request; a first spawn may wait for an image. */
const requestTimeoutMs = 120_000;

/** What the image for code is for. */
const programs = `set -e
python3 -c 'import sys, venv; print("Python", sys.version.split()[0])'
node -p '"Node " + process.versions.node'
git --version
echo pip "$(pip --version | cut -d ' ' -f 2)"
echo npm "$(npm --version)"
echo 'int main(void) { return 0; }' | cc -x c -o /tmp/tried - && /tmp/tried && echo a C compiler`;

/** What the API answers, as far as this needs it. */
interface Answer {
  readonly id?: string;
  readonly provider?: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exit_code?: number;
  readonly level?: string;
  readonly message?: string;
  readonly remediation?: string;
}

interface Provider {
  readonly name: string;
  readonly healthy: boolean;
  readonly error?: string;
}

export interface TourOptions {
  /** For example http://127.0.0.1:7423. */
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly image: string;
  /** Whether the image is the one for code, whose programs are tried then. */
  readonly isForCode: boolean;
}

/** Makes a sandbox through the API, runs a command in it and reads a file back. Throws what went wrong. */
export async function takeTour({
  url,
  apiKey,
  image,
  isForCode,
}: TourOptions): Promise<{ readonly id: string; readonly hasNetwork: boolean }> {
  const call = (method: string, path: string, body?: unknown) => request(url, apiKey, method, path, body);

  const spawned = await timed(() => call("POST", "/sandboxes", { image, ttl: "30m" }));
  const id = spawned.value.id ?? "";
  step("made a sandbox", spawned.elapsedMs, `${id} (${spawned.value.provider ?? ""})`);

  const command = "echo hello from $(uname -s), uid $(id -u) | tee greeting.txt";
  const first = await timed(() => call("POST", `/sandboxes/${id}/exec`, { command, mode: "shell" }));
  if (first.value.exit_code !== 0) throw new Error(`the command in the sandbox ended with ${first.value.exit_code}`);
  step("ran a command", first.elapsedMs, first.value.stdout);
  const again = await timed(() => call("POST", `/sandboxes/${id}/exec`, { command: "true", mode: "argv" }));
  step("ran another", again.elapsedMs, "true");

  const read = await timed(() => fetchText(url, apiKey, `/sandboxes/${id}/files?path=greeting.txt`));
  if (read.value !== first.value.stdout) throw new Error("the file read back is not what the command wrote");
  step("read a file back", read.elapsedMs, "greeting.txt");

  if (isForCode) {
    const tried = await timed(() => call("POST", `/sandboxes/${id}/exec`, { command: programs, mode: "shell" }));
    const { exit_code: code, stdout = "", stderr = "" } = tried.value;
    if (code !== 0) throw new Error(`what the image is for ended with ${code}: ${stderr}`);
    step("ran its programs", tried.elapsedMs, stdout.trim().replaceAll("\n", ", "));
  }
  const { level } = await call("GET", `/sandboxes/${id}/network`);
  return { id, hasNetwork: level !== "none" };
}

/** Providers that are switched on and not healthy here, each with what is missing. */
export async function unusableProviders({
  url,
  apiKey,
}: Pick<TourOptions, "url" | "apiKey">): Promise<readonly { readonly name: string; readonly why: string }[]> {
  const all = JSON.parse(await fetchText(url, apiKey, "/providers")) as readonly Provider[];
  return all.flatMap(({ name, healthy, error }) => (healthy ? [] : [{ name, why: error ?? "" }]));
}

export async function destroySandbox({ url, apiKey }: Pick<TourOptions, "url" | "apiKey">, id: string): Promise<void> {
  const { elapsedMs } = await timed(() => request(url, apiKey, "DELETE", `/sandboxes/${id}`));
  step("destroyed it", elapsedMs);
}

const headers = (apiKey: string | undefined) => (apiKey === undefined ? {} : { "X-API-Key": apiKey });

async function request(
  url: string,
  apiKey: string | undefined,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { ...headers(apiKey), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(requestTimeoutMs),
  });
  const text = await response.text();
  const answer = (text.startsWith("{") ? JSON.parse(text) : {}) as Answer;
  if (!response.ok) {
    throw new Error(
      `${method} ${path} answered ${response.status}: ${answer.message ?? text}\n  ${answer.remediation ?? ""}`,
    );
  }
  return answer;
}

async function fetchText(url: string, apiKey: string | undefined, path: string): Promise<string> {
  const response = await fetch(`${url}/api/v1${path}`, {
    headers: headers(apiKey),
    signal: AbortSignal.timeout(requestTimeoutMs),
  });
  if (!response.ok) throw new Error(`GET ${path} answered ${response.status}`);
  return await response.text();
}
