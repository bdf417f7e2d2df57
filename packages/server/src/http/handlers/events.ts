import { isWithin, type Scope } from "../../sandbox/scope.ts";
import type { EventBus, PublishedEvent } from "../../telemetry/events.ts";
import { eventBufferMax, eventHeartbeatMs } from "../bounds.ts";
import type { StreamAnswer } from "../handler.ts";
import { compactJson } from "../json.ts";
import { rfc3339 } from "./wire-time.ts";

export interface EventStreamOptions {
  readonly events: EventBus;
  readonly signal: AbortSignal;
  /** Only events of these rows. */
  readonly scope: Scope;
  readonly heartbeatMs?: number;
}

const eventToWire = (event: PublishedEvent) => ({
  id: event.id,
  type: event.type,
  ...(event.sandboxId === undefined ? {} : { sandbox_id: event.sandboxId }),
  timestamp: rfc3339(event.atMs),
  ...(event.data === undefined ? {} : { data: event.data }),
});

/** Events as server-sent events. Comments keep the connection alive, and say when the reader was too slow. */
export async function* eventLines(options: EventStreamOptions): AsyncGenerator<string> {
  const { events, signal, scope, heartbeatMs = eventHeartbeatMs } = options;
  using subscription = events.subscribe(eventBufferMax, signal);
  // Sends the headers at once.
  yield ": connected\n\n";
  while (!signal.aborted) {
    const event = await subscription.next(heartbeatMs);
    const dropped = subscription.takeDropped();
    if (dropped > 0) yield `: ${dropped} events dropped\n\n`;
    if (event === undefined) {
      if (!signal.aborted) yield ": heartbeat\n\n";
    } else if (isWithin(event, scope)) {
      yield `data: ${compactJson(eventToWire(event))}\n\n`;
    }
  }
}

/** The answer of the event stream. */
export const eventStream = (options: EventStreamOptions): StreamAnswer<200, "text/event-stream"> => ({
  status: 200,
  contentType: "text/event-stream",
  headers: { "Cache-Control": "no-cache", "X-Accel-Buffering": "no" },
  stream: eventLines(options),
});
