import type { Clock } from "../lib/clock.ts";

interface Failed {
  readonly operation: string;
  readonly provider: string;
  readonly error: string;
}

interface Queued {
  readonly operation: "spawn";
  readonly provider: string;
  readonly owner_id: string;
}

/** What each type of event carries; undefined carries nothing. */
export interface EventData {
  "sandbox.created": undefined;
  "sandbox.running": undefined;
  "sandbox.destroyed": undefined;
  "sandbox.error": Failed;
  "exec.started": undefined;
  "exec.completed": undefined;
  "exec.failed": Failed;
  "exec.timeout": Failed;
  "file.written": undefined;
  "file.read": undefined;
  "network.denied": {
    readonly reason: string;
    /** Denials since the last event that no event tells. */
    readonly untold: number;
    readonly host?: string;
    readonly address?: string;
    readonly port?: number;
  };
  "operation.failed": Failed;
  "resource.limit": Failed;
  "provider.failed": Failed;
  "reconcile.action": { readonly action: string; readonly provider?: string; readonly reason?: string };
  "spawn.queued": Queued & { readonly depth: number };
  "spawn.dequeued": Queued & { readonly wait_ms: number };
  "spawn.queue_timeout": Queued & { readonly error: string; readonly wait_ms: number };
  "quota.saved": {
    readonly owner_id: string;
    readonly max_sandboxes: number;
    readonly max_ttl: string;
    readonly max_exec_timeout: string;
  };
  "quota.deleted": { readonly owner_id: string };
}

export type EventType = keyof EventData;

/** An event to publish. */
export type NewEvent = {
  [Type in EventType]: {
    readonly type: Type;
    readonly sandboxId?: string;
    /** Whose it is: shown to whom such rows are. */
    readonly tenantId?: string;
    readonly projectId?: string;
  } & (EventData[Type] extends undefined ? { readonly data?: undefined } : { readonly data: EventData[Type] });
}[EventType];

export type PublishedEvent = NewEvent & { readonly id: string; readonly atMs: number };

export interface Subscription extends Disposable {
  /** The next event in order; undefined when none came within the time, or the signal aborted. */
  next(withinMs: number): Promise<PublishedEvent | undefined>;
  /** Events that this subscriber was too slow for, since the last call. */
  takeDropped(): number;
}

export interface EventBusOptions {
  readonly clock: Clock;
  /** Events kept for diagnosis. */
  readonly historyMax?: number;
}

/** Tells what happens, in order, to whoever listens. Publishing never waits: a slow subscriber loses the oldest. */
export const createEventBus = ({ clock, historyMax = 1000 }: EventBusOptions) => {
  const history: PublishedEvent[] = [];
  const subscribers = new Set<(event: PublishedEvent) => void>();
  let total = 0;

  return {
    publish(event: NewEvent): void {
      total += 1;
      const published: PublishedEvent = { ...event, id: `evt-${total}`, atMs: clock.now() };
      history.push(published);
      if (history.length > historyMax) history.shift();
      for (const deliver of subscribers) deliver(published);
    },

    subscribe(bufferMax: number, signal: AbortSignal): Subscription {
      const waiting: PublishedEvent[] = [];
      let dropped = 0;
      let wake: (() => void) | undefined;
      const deliver = (event: PublishedEvent): void => {
        waiting.push(event);
        if (waiting.length > bufferMax) {
          waiting.shift();
          dropped += 1;
        }
        wake?.();
      };
      const onAbort = (): void => wake?.();
      subscribers.add(deliver);
      signal.addEventListener("abort", onAbort);
      return {
        async next(withinMs) {
          if (waiting.length === 0 && !signal.aborted) {
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, withinMs);
              wake = () => {
                clearTimeout(timer);
                resolve();
              };
            });
            wake = undefined;
          }
          return signal.aborted ? undefined : waiting.shift();
        },
        takeDropped() {
          const count = dropped;
          dropped = 0;
          return count;
        },
        [Symbol.dispose]() {
          subscribers.delete(deliver);
          signal.removeEventListener("abort", onAbort);
          wake?.();
        },
      };
    },

    /** Newest last. */
    history: (): readonly PublishedEvent[] => [...history],

    counts: () => ({ subscribers: subscribers.size, history_size: history.length, events_total: total }),
  };
};

export type EventBus = ReturnType<typeof createEventBus>;
