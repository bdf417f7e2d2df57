import type { ChildProcess } from "node:child_process";

interface Call {
  readonly id: number;
  readonly call: string;
  readonly argument: unknown;
}

interface Outcome {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** What a program of the test Internet does when it is asked; arguments and results are JSON. */
export type Verbs = Readonly<Record<string, (argument: never) => unknown>>;

/** In the program: does what its parent asks by IPC, and runs `onAlone` once the parent is gone. */
export const serveVerbs = (verbs: Verbs, onAlone: () => Promise<void>): void => {
  process.on("message", async ({ id, call, argument }: Call) => {
    const done = (outcome: Omit<Outcome, "id">) => process.connected && process.send?.({ id, ...outcome });
    try {
      const verb = verbs[call];
      if (verb === undefined) throw new Error(`no verb ${call}`);
      done({ value: await verb(argument as never) });
    } catch (error) {
      done({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
  process.once("disconnect", () => void onAlone().finally(() => process.exit(0)));
};

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export type Caller = <T>(call: string, argument?: unknown) => Promise<T>;

/** In the parent. A program that ends rejects what it has not answered. */
export const callerOf = (child: ChildProcess, name: string): Caller => {
  const waiting = new Map<number, Waiting>();
  let [last, log, ended] = [0, "", false];
  child.stderr?.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-10_000);
  });
  child.on("message", ({ id, value, error }: Outcome) => {
    const one = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) one?.resolve(value);
    else one?.reject(new Error(`${name}: ${error}`));
  });
  child.once("exit", (code, signal) => {
    ended = true;
    for (const one of waiting.values()) one.reject(new Error(`${name} ended with ${signal ?? code}: ${log}`));
  });
  return async <T>(call: string, argument: unknown = null): Promise<T> => {
    if (ended) throw new Error(`${name} has ended: ${log}`);
    return await new Promise<T>((resolve, reject) => {
      waiting.set(++last, { resolve: resolve as Waiting["resolve"], reject });
      child.send({ id: last, call, argument }, (error) => error && reject(error));
    });
  };
};
