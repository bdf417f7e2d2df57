import { StacyError, type Worker, type workerOperations } from "@stacyvm/contract";
import type { Clock } from "../../lib/clock.ts";
import type { Store, WorkerRecord } from "../../store/store.ts";
import type { HandlersOf } from "../handler.ts";
import { rfc3339Seconds } from "./wire-time.ts";

/** A worker whose last heartbeat is older is stale. */
export const workerStaleAfterMs = 120_000;

/** The public object of a worker. */
export const workerToWire = (worker: WorkerRecord, nowMs: number): Worker => ({
  id: worker.id,
  hostname: worker.hostname,
  status: worker.status,
  providers: [...worker.providers],
  capabilities: [...worker.capabilities],
  capacity: { ...worker.capacity },
  last_heartbeat: rfc3339Seconds(worker.lastHeartbeatMs),
  created_at: rfc3339Seconds(worker.createdAtMs),
  updated_at: rfc3339Seconds(worker.updatedAtMs),
  stale: nowMs - worker.lastHeartbeatMs > workerStaleAfterMs,
});

export interface WorkerHandlersOptions {
  readonly store: Store;
  readonly clock: Clock;
}

export const createWorkerHandlers = ({ store, clock }: WorkerHandlersOptions): HandlersOf<typeof workerOperations> => ({
  "workers.list": async () => {
    const now = clock.now();
    return { status: 200, body: (await store.workers.list()).map((worker) => workerToWire(worker, now)) };
  },
  "workers.get": async ({ params: { id } }) => {
    const worker = await store.workers.get(id);
    if (worker === undefined) throw new StacyError("worker_not_found", `not found: worker "${id}"`);
    return { status: 200, body: workerToWire(worker, clock.now()) };
  },
});
