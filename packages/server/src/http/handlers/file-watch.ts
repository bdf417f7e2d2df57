import type { fileWatchOperations } from "@stacyvm/contract";
import type { FolderEvent } from "../../guest/guest-watch.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { HandlersOf } from "../handler.ts";
import { queryPath, targetOf } from "./files.ts";

async function* serverSentEvents(events: AsyncIterable<FolderEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    yield event.type === "keepalive" ? ": heartbeat\n\n" : `data: ${JSON.stringify(event)}\n\n`;
  }
}

export const fileWatchHandlers = ({
  useCases,
}: {
  readonly useCases: UseCases;
}): HandlersOf<typeof fileWatchOperations> => ({
  "files.watch": async (request) => {
    const { path, recursive } = request.query;
    const events = await useCases.folders.watch(targetOf(request), queryPath(path), recursive === "true");
    const headers = { "Cache-Control": "no-cache", "X-Accel-Buffering": "no" };
    return { status: 200, contentType: "text/event-stream", headers, stream: serverSentEvents(events) };
  },
});
