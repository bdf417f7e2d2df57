import { StacyError } from "@stacyvm/contract";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { placeOf } from "../sandbox/scope.ts";
import type { MeasuredOperation } from "../telemetry/metrics.ts";
import type { Caller, Context } from "./context.ts";

/** Longest audit detail, characters. */
const auditDetailMax = 2048;

const onlyAudited = ["extend", "process", "link", "upload", "port", "network"] as const;

const isCounted = (operation: Measured["operation"]): operation is MeasuredOperation =>
  !onlyAudited.some((name) => name === operation);

export interface Measured {
  /** The name in metrics and events; operations that old dashboards don't know are only audited. */
  readonly operation: MeasuredOperation | (typeof onlyAudited)[number];
  /** The name in the audit: `exec`, `file.write` … */
  readonly action: string;
  readonly sandboxId: string;
  readonly resource: string;
  readonly caller: Caller;
}

/** Filled in by the work once it knows. */
export interface Facts {
  record?: SandboxRecord;
  detail?: string;
}

type FailureEvent = "exec.failed" | "exec.timeout" | "operation.failed" | "resource.limit" | "provider.failed";

const eventOf = (error: unknown, operation: string): FailureEvent => {
  if (!(error instanceof StacyError)) return operation === "exec" ? "exec.failed" : "operation.failed";
  if (error.reason === "exec_timeout") return "exec.timeout";
  if (error.entry.code === "RESOURCE_LIMIT") return "resource.limit";
  if (error.entry.fault === "provider") return "provider.failed";
  return operation === "exec" ? "exec.failed" : "operation.failed";
};

/** Runs one operation on a sandbox and leaves its traces: a count, an audit row, and an event when it fails. */
export async function measured<T>(context: Context, what: Measured, work: (facts: Facts) => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const facts: Facts = {};
  const finish = (error: unknown) => {
    const provider = facts.record?.provider ?? "unknown";
    const text = error instanceof Error ? error.message : error === undefined ? undefined : "failed";
    if (isCounted(what.operation)) {
      context.observe({
        operation: what.operation,
        provider,
        durationMs: performance.now() - startedAt,
        ...(error === undefined ? {} : { error: error instanceof StacyError ? error.reason : "internal" }),
      });
    }
    context.audit({
      actor: what.caller.actor,
      action: what.action,
      sandboxId: what.sandboxId,
      resource: what.resource,
      provider: facts.record?.provider ?? "",
      status: error === undefined ? "success" : "failure",
      detail: (text ?? facts.detail ?? "").slice(0, auditDetailMax),
      tenantId: facts.record?.tenantId ?? placeOf(what.caller.scope).tenantId,
      createdAtMs: context.clock.now(),
    });
    if (error instanceof StacyError && error.reason === "guest_unreachable") context.reconcileSoon();
    if (error !== undefined) {
      context.publish({
        type: eventOf(error, what.operation),
        sandboxId: what.sandboxId,
        ...placeOf(facts.record ?? what.caller.scope),
        data: { error: text ?? "", operation: what.operation, provider },
      });
    }
  };
  try {
    const result = await work(facts);
    finish(undefined);
    return result;
  } catch (error) {
    finish(error);
    throw error;
  }
}
