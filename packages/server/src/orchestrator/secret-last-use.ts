import type { Clock } from "../lib/clock.ts";
import type { Store } from "../store/store.ts";

/** The least time between two notes of one sandbox's use of a secret, milliseconds. */
export const lastUsePauseMs = 60_000;
/** Sandboxes whose last note is remembered; beyond them all are noted anew. */
const notedMax = 10_000;

/** Notes when secrets were used; a failure is told, and the next use is noted. */
export function noteSecretUses({
  store,
  clock,
  onFailure,
}: {
  readonly store: Pick<Store, "sandboxes" | "secrets">;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}): (sandboxId: string, secretNames: readonly string[]) => void {
  const noted = new Map<string, number>();

  const note = async (sandboxId: string, names: readonly string[], atMs: number): Promise<void> => {
    const record = await store.sandboxes.get(sandboxId);
    if (record === undefined) return;
    for (const name of names) await store.secrets.touch(record, name, atMs);
  };

  return (sandboxId, secretNames) => {
    const nowMs = clock.now();
    const isDue = (name: string): boolean => nowMs - (noted.get(`${sandboxId} ${name}`) ?? 0) >= lastUsePauseMs;
    const due = secretNames.filter(isDue);
    if (due.length === 0) return;
    if (noted.size > notedMax) noted.clear();
    for (const name of due) noted.set(`${sandboxId} ${name}`, nowMs);
    note(sandboxId, due, nowMs).catch((error: unknown) => {
      for (const name of due) noted.delete(`${sandboxId} ${name}`);
      onFailure(error);
    });
  };
}
