import type { Decision } from "../egress/egress.ts";
import type { Clock } from "../lib/clock.ts";
import type { OperationAudit, Store } from "../store/store.ts";

/** The least time between two traces of the same kind that one sandbox leaves, milliseconds. */
const tracePauseMs = 60_000;
/** Traces that are remembered for that; beyond them all are left anew. */
const tracesMax = 10_000;

/** What a secret's use, or an attempt at one, is called in the audit. */
const actionOf = ({ kind, decision, reason, secrets }: Decision): string | undefined => {
  if (decision === "masked") return "secret.mask";
  if (reason === "placeholder" || reason === "secret_unavailable") return "secret.refuse";
  return kind === "request" && decision === "allowed" && secrets !== undefined ? "secret.use" : undefined;
};

/** Leaves traces of what becomes of secrets: in the audit, and when each was used last. A failure is told, and the next is traced. */
export function traceSecrets({
  store,
  clock,
  audit,
  onFailure,
}: {
  readonly store: Pick<Store, "sandboxes" | "secrets">;
  readonly clock: Clock;
  readonly audit: (row: OperationAudit) => void;
  readonly onFailure: (error: unknown) => void;
}): (sandboxId: string, decision: Decision) => void {
  const left = new Map<string, number>();

  const trace = async (sandboxId: string, action: string, decision: Decision): Promise<void> => {
    const record = await store.sandboxes.get(sandboxId);
    if (record === undefined) return;
    const { host = "", port = 0, reason = "", secrets = [], atMs } = decision;
    if (action === "secret.use") for (const name of secrets) await store.secrets.touch(record, name, atMs);
    audit({
      actor: record.ownerId,
      action,
      sandboxId,
      resource: `${host}:${port}`,
      provider: record.provider,
      status: action === "secret.refuse" ? "failure" : "success",
      detail: [`reason=${reason}`, ...secrets.map((name) => `secret=${name}`)].join(" "),
      tenantId: record.tenantId,
      createdAtMs: atMs,
    });
  };

  return (sandboxId, decision) => {
    const action = actionOf(decision);
    if (action === undefined) return;
    const key = JSON.stringify([sandboxId, action, decision.host, decision.port, decision.secrets]);
    const nowMs = clock.now();
    if (nowMs - (left.get(key) ?? 0) < tracePauseMs) return;
    if (left.size >= tracesMax) left.clear();
    left.set(key, nowMs);
    trace(sandboxId, action, decision).catch((error: unknown) => {
      left.delete(key);
      onFailure(error);
    });
  };
}
