/** One event as the stream tells it. */
export interface ServerEvent {
  readonly type: string;
  readonly sandbox_id?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Collects a server's events from now on until disposed of. */
export const followEvents = async (
  url: string,
): Promise<AsyncDisposable & { readonly seen: readonly ServerEvent[] }> => {
  const leave = new AbortController();
  const answer = await fetch(`${url}/api/v1/events`, { signal: leave.signal });
  if (!answer.ok || answer.body === null) throw new Error(`events: ${answer.status}`);
  const seen: ServerEvent[] = [];
  const reading = (async () => {
    let text = "";
    for await (const part of answer.body ?? []) {
      text += Buffer.from(part).toString("utf8");
      const whole = text.split("\n\n");
      text = whole.pop() ?? "";
      for (const one of whole) {
        const data = one.split("\n").filter((line) => line.startsWith("data:"));
        if (data.length > 0) seen.push(JSON.parse(data.map((line) => line.slice(5)).join("\n")) as ServerEvent);
      }
    }
  })().catch(() => {}); // left, or the server is gone
  return {
    seen,
    async [Symbol.asyncDispose]() {
      leave.abort();
      await reading;
    },
  };
};
