import type { telemetryOperations } from "@stacyvm/contract";
import type { HandlersOf } from "../handler.ts";
import { eventStream } from "./events.ts";
import { collectMetrics, type MetricsOptions } from "./metrics.ts";
import { prometheusText } from "./prometheus.ts";

async function* once(text: string): AsyncGenerator<string> {
  yield text;
}

export const createTelemetryHandlers = (options: MetricsOptions): HandlersOf<typeof telemetryOperations> => ({
  "events.stream": async ({ identity, signal }) =>
    eventStream({ events: options.events, signal, scope: identity.scope }),
  "metrics.json": async ({ signal }) => ({ status: 200, body: await collectMetrics(options, signal) }),
  "metrics.prometheus": async ({ signal }) => {
    const metrics = await collectMetrics(options, signal);
    const text = await prometheusText(metrics, options.spawnQueue(), options.clock.now() - options.startedAtMs);
    return { status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", stream: once(text) };
  },
});
