import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Guest } from "../../packages/server/src/guest/guest.ts";
import type { Runtime, SandboxSpec } from "../../packages/server/src/providers/provider.ts";
import { sandboxSpec } from "../../packages/server/src/providers/sandbox-spec.testing.ts";
import { type Field, probePath } from "./attack.ts";
import { type Canary, secretText } from "./canary.ts";
import { openHostTargets } from "./host-targets.ts";
import { buildFor386 } from "./native-build.ts";
import type { OpenTarget, Target } from "./targets.ts";

const spawnTimeoutMs = 60_000;
const execTimeoutMs = 30_000;
const outputMaxBytes = 1 << 20;
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** In the neighbour: what each of these tells is a secret. */
export const neighbourPort = 7777;
export const neighbourAbstract = "neighbour";
export const neighbourSleep = 86_864;
export const neighbourSharedKey = 0x5afe;

export interface OpenedField extends Field, AsyncDisposable {
  /** Nothing that comes out of a sandbox may hold one of them. */
  readonly secrets: readonly string[];
}

const run =
  (own: Guest): Field["sh"] =>
  async (script, more, guest) => {
    const request = {
      argv: ["/bin/sh", "-c", script],
      maxOutputBytes: outputMaxBytes,
      timeoutMs: execTimeoutMs,
      ...more,
    };
    const result = await (guest ?? own).run(request, AbortSignal.timeout(2 * execTimeoutMs));
    return { out: text(result.stdout), err: text(result.stderr), exitCode: result.exitCode };
  };

export const openField = async (options: {
  readonly target: Target;
  readonly open: OpenTarget;
  readonly canary: Canary;
  readonly quick: boolean;
  readonly patience: number;
}): Promise<OpenedField> => {
  const { open, target, canary } = options;
  await using stack = new AsyncDisposableStack();
  const probe = join(open.dataRoot, "programs/wall-probe");
  const probe386 = buildFor386("wall-probe", join(open.dataRoot, "programs"));
  const host = stack.use(await openHostTargets(join(open.dataRoot, "engine"), probe));

  const place = async (runtime: Runtime, path: string, from: string): Promise<void> =>
    runtime.guest.writeFile(path, await readFile(from), { mode: 0o755 }, AbortSignal.timeout(spawnTimeoutMs));
  const spawn = async (more: Partial<SandboxSpec>): Promise<Runtime> => {
    const id = `sb-${randomBytes(8).toString("hex")}`;
    const spec = sandboxSpec({ id, image: open.image, security: target.profile, ...more });
    const runtime = await open.provider.spawn(spec, AbortSignal.timeout(spawnTimeoutMs));
    await place(runtime, probePath, probe);
    return runtime;
  };
  const destroy = (runtime: Runtime) => runtime.destroy(AbortSignal.timeout(spawnTimeoutMs));

  const runtime = await spawn({});
  stack.defer(() => destroy(runtime));
  if (probe386 !== undefined) await place(runtime, `${probePath}-386`, probe386);
  const neighbour = await spawn({});
  stack.defer(() => destroy(neighbour));
  const sh = run(runtime.guest);
  const secret = secretText();
  const speaking = `${probePath} speak`;
  await sh(
    `(${speaking} tcp 127.0.0.1:${neighbourPort} ${secret} & ${speaking} unix @${neighbourAbstract} ${secret} &
      ${probePath} share ${neighbourSharedKey} ${secret} & sleep ${neighbourSleep} &) >/tmp/speaks 2>&1
     echo ${secret} >/tmp/secret; echo ${secret} >/dev/shm/secret; cat /tmp/speaks >/dev/null`,
    { env: { NEIGHBOUR_SECRET: secret } },
    neighbour.guest,
  );
  const running = stack.move();
  return {
    quick: options.quick,
    patience: options.patience,
    profile: target.profile,
    dataRoot: open.dataRoot,
    image: open.image,
    makeImage: open.makeImage,
    programs: open.programs,
    runtime,
    guest: runtime.guest,
    neighbour,
    canary,
    host,
    secrets: [canary.secret, host.secret, secret],
    attach: ({ sandboxId, ref }) => open.provider.attach(sandboxId, ref, AbortSignal.timeout(spawnTimeoutMs)),
    pidOf: open.pidOf,
    processesOf: open.processesOf,
    sh,
    async probe(args, more, guest) {
      const request = { argv: [probePath, ...args], maxOutputBytes: outputMaxBytes, timeoutMs: execTimeoutMs, ...more };
      const { stdout, stderr } = await (guest ?? runtime.guest).run(request, AbortSignal.timeout(2 * execTimeoutMs));
      return (text(stdout) || text(stderr)).trimEnd();
    },
    async withSandbox(more, body) {
      const own = await spawn(more);
      let destroyed = false;
      try {
        const result = await body(own);
        const startedMs = performance.now();
        await destroy(own);
        destroyed = true;
        return [result, performance.now() - startedMs];
      } finally {
        if (!destroyed) await destroy(own);
      }
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
};
