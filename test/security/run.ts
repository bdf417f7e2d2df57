import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attack, Evidence } from "./attack.ts";
import { placeCanary } from "./canary.ts";
import type { BrokenControl } from "./controls.ts";
import { excuse, omission } from "./expectations.ts";
import { openField } from "./field.ts";
import type { Target } from "./targets.ts";

/** `failed`: it could not be tried, which proves nothing. */
export type Verdict = "stopped" | "through" | "failed" | "not tried";

export interface Result {
  readonly id: string;
  readonly target: string;
  readonly verdict: Verdict;
  readonly said: string;
  /** Why it may be as it is, where it is not `stopped`. */
  readonly reason: string | undefined;
  /** The verdict is the one that the table promises. */
  readonly expected: boolean;
  readonly tookMs: number;
}

export interface RunOptions {
  readonly target: Target;
  readonly attacks: readonly Attack[];
  readonly quick: boolean;
  readonly patience: number;
  readonly broken?: BrokenControl | undefined;
  /** Ends the run after the attack that is on; what was made is removed. */
  readonly stop: AbortSignal;
  readonly onResult?: (result: Result) => void;
}

/** Tries each attack on a target, one after the other. */
export const runAttacks = async (options: RunOptions): Promise<readonly Result[]> => {
  const { target } = options;
  await using stack = new AsyncDisposableStack();
  const canaryParent = await mkdtemp(join(tmpdir(), "stacyvm-canary-"));
  stack.defer(() => rm(canaryParent, { recursive: true, force: true }));
  await chmod(canaryParent, 0o755);
  const canary = await placeCanary(canaryParent);
  const open = stack.use(await target.open(options.broken, canary.path));
  if (open.missing.length > 0) throw new Error(`${target.id} can't be attacked here: ${open.missing.join("; ")}`);
  const field = stack.use(await openField({ ...options, open, canary }));

  const evidenceOf = async (attack: Attack): Promise<Evidence> => {
    const evidence = await attack.attempt(field);
    const shown = field.secrets.filter((secret) => evidence.said.includes(secret));
    const changes = await canary.changes();
    if (shown.length === 0 && changes.length === 0) return evidence;
    return { through: true, said: changes.length > 0 ? `changed ${changes.join(", ")}` : "showed a secret" };
  };
  const results: Result[] = [];
  for (const attack of options.attacks) {
    options.stop.throwIfAborted();
    const omitted = omission(target.id, attack.id);
    const startedMs = performance.now();
    const evidence: Evidence | { readonly error: unknown } | undefined =
      omitted === undefined ? await evidenceOf(attack).catch((error: unknown) => ({ error })) : undefined;
    const verdict: Verdict =
      evidence === undefined ? "not tried" : "error" in evidence ? "failed" : evidence.through ? "through" : "stopped";
    const said =
      evidence === undefined
        ? ""
        : "error" in evidence
          ? `${(evidence.error as Error)?.message ?? evidence.error}`
          : evidence.said;
    const reason = omitted ?? (verdict === "through" ? excuse(target.id, attack.id) : undefined);
    const mayPass = excuse(target.id, attack.id) !== undefined;
    const expected = verdict === "not tried" || verdict === (mayPass ? "through" : "stopped");
    const result = {
      id: attack.id,
      target: target.id,
      verdict,
      said,
      reason,
      expected,
      tookMs: performance.now() - startedMs,
    };
    results.push(result);
    options.onResult?.(result);
    // What was changed once says nothing of the next attack.
    if (!("error" in (evidence ?? {})) && (await canary.changes()).length > 0) await canary.restore();
  }
  return results;
};
