import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { expect } from "vitest";
import type { ExecRequest, ExecResult, FileContent, Guest } from "../../guest/guest.ts";
import type { ImageRoot } from "../../images/image-store.ts";
import type { Provider, Runtime, SandboxSpec, SecurityProfile } from "../provider.ts";

/** A provider under test, and what surrounds it. */
export interface ProviderUnderTest {
  readonly dataRoot: string;
  readonly image: ImageRoot | undefined;
  /** The program wall-probe, to be put into a sandbox. */
  readonly probePath: string;
  /** The provider's mount tables name places of the host, such as an engine's own directories. */
  readonly tellsHostPaths?: true;
  /** Kills a sandbox's first process from outside; where it is absent, `ref` holds its `pid`. */
  end?(runtime: Runtime): Promise<void>;
  /** A new instance over the same data root, as after a restart. */
  open(): Provider;
  /** Ends the provider's programs without a farewell, as kill -9 would. */
  crash(): Promise<void>;
  close(): Promise<void>;
}

/** What the parts of the suite share: one provider, and a running sandbox of each of its security profiles. */
export interface ProviderSuite {
  /** Only within a test. */
  under(): ProviderUnderTest;
  provider(): Provider;
  readonly runtimes: ReadonlyMap<SecurityProfile, Runtime>;
  spec(more?: Partial<SandboxSpec>): SandboxSpec;
  /** A test that skips where the provider's runtime is missing. */
  test(name: string, body: () => Promise<void>): void;
  /** The same over the sandbox of each profile. */
  each(name: string, body: (runtime: Runtime, profile: SecurityProfile) => Promise<void>): void;
  /** Runs the body over a sandbox of its own, which is then destroyed. */
  withSandbox(more: Partial<SandboxSpec>, body: (runtime: Runtime) => Promise<void>): Promise<void>;
}

export const signal = (): AbortSignal => AbortSignal.timeout(30_000);
export const sandboxId = (): string => `sb-${randomBytes(8).toString("hex")}`;
/** A number that no other process has among its arguments. */
export const marker = (digit: number): string => `${digit}${randomBytes(4).readUInt32LE() % 100_000_000}`;
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytes = (content: string): Uint8Array => new TextEncoder().encode(content);
export const shell = (script: string): readonly string[] => ["/bin/sh", "-c", script];
export const outputMaxBytes = 1 << 20;

export const sh = async (
  guest: Guest,
  script: string,
  more: Partial<ExecRequest> = {},
): Promise<ExecResult & { readonly out: string; readonly err: string }> => {
  const request = { argv: shell(script), maxOutputBytes: outputMaxBytes, timeoutMs: 20_000, ...more };
  const result = await guest.run(request, signal());
  return { ...result, out: text(result.stdout), err: text(result.stderr) };
};

/** All of a file's bytes: a part is valid only until the next one is asked for. */
export const contentOf = async ({ body }: FileContent): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(body, (part) => Buffer.from(part)));

/** Puts wall-probe into the sandbox and returns its path there. */
export const placeProbe = async (suite: ProviderSuite, guest: Guest): Promise<string> => {
  const path = "/tmp/wall-probe";
  await guest.writeFile(path, await readFile(suite.under().probePath), { mode: 0o755 }, signal());
  return path;
};

/** Everything that runs in the sandbox, one command line each. */
export const commandLines = async (guest: Guest): Promise<string> =>
  (await sh(guest, "ps -o args 2>/dev/null || ps ax -o args")).out;

/** The last value seen, right or not once the time is over. */
export const until = async <T>(look: () => Promise<T>, right: (value: T) => boolean, withinMs = 15_000): Promise<T> => {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = await look();
    if (right(value) || performance.now() > end) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** A sandbox that was driven to a limit may refuse commands for a moment, and then has to answer again. */
export const expectAlive = async (guest: Guest): Promise<void> => {
  const answer = () => sh(guest, "echo still here").then(({ out }) => out, String);
  expect(await until(answer, (out) => out === "still here\n", 8000)).toBe("still here\n");
};
