import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { Process, ProcessEvent } from "@stacyvm/contract";
import { post, type TestSandbox } from "./api.ts";

export interface TestProcess {
  readonly id: string;
  readonly url: string;
  readonly started: Process;
  get(): Promise<Process>;
  /** Every event of an answer that ends by itself. */
  events(query?: string): Promise<readonly ProcessEvent[]>;
  /** Every event as it comes, to the end of all that it started. */
  follow(): AsyncGenerator<ProcessEvent>;
  /** All bytes from the offset up to now. */
  bytes(offset?: number): Promise<Buffer>;
  wait(timeout?: string): Promise<Process>;
  write(input: NonNullable<RequestInit["body"]>): Promise<Response>;
  signal(name: string): Promise<Response>;
}

export const processAt = (sandboxUrl: string, started: Process): TestProcess => {
  const url = `${sandboxUrl}/processes/${started.id}`;
  const json = async <T>(path: string): Promise<T> => {
    const answer = await fetch(`${url}${path}`);
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  };
  return {
    id: started.id,
    url,
    started,
    get: () => json<Process>(""),
    events: async (query = "") => eventsOf(await (await fetch(`${url}/output?encoding=base64${query}`)).text()),
    async *follow() {
      const { body } = await fetch(`${url}/output?encoding=base64&follow=true`);
      for await (const line of createInterface({ input: Readable.from(body ?? []) })) {
        yield JSON.parse(line) as ProcessEvent;
      }
    },
    bytes: async (offset = 0) => {
      const answer = await fetch(`${url}/output?offset=${offset}`, { headers: { accept: "application/octet-stream" } });
      return Buffer.from(await answer.arrayBuffer());
    },
    wait: (timeout = "30s") => json<Process>(`/wait?timeout=${timeout}`),
    write: (input) => fetch(`${url}/stdin`, { method: "POST", body: input, duplex: "half" } as RequestInit),
    signal: (signal) => post(`${url}/signal`, { signal }),
  };
};

export const startProcess = async (sandbox: Pick<TestSandbox, "url">, body: object): Promise<TestProcess> => {
  const answer = await post(`${sandbox.url}/processes`, body);
  if (answer.status !== 201) throw new Error(`start answered ${answer.status}: ${await answer.text()}`);
  return processAt(sandbox.url, (await answer.json()) as Process);
};

const eventsOf = (lines: string): readonly ProcessEvent[] =>
  lines
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as ProcessEvent);

/** Output of events, joined. */
export const joined = (events: readonly ProcessEvent[]): string =>
  Buffer.concat(events.map(({ data = "", encoding }) => Buffer.from(data, encoding ?? "utf8"))).toString("latin1");
