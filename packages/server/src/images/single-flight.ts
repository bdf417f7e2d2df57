/** One run per key however many ask; it is aborted when nobody waits for it any more. */
export interface SingleFlight<Result, Note> {
  run(
    key: string,
    signal: AbortSignal,
    onNote: ((note: Note) => void) | undefined,
    work: (signal: AbortSignal, note: (note: Note) => void) => Promise<Result>,
  ): Promise<Result>;
}

interface Flight<Result, Note> {
  readonly result: Promise<Result>;
  readonly listeners: Set<((note: Note) => void) | undefined>;
  readonly controller: AbortController;
  waiting: number;
}

export function singleFlight<Result, Note>(): SingleFlight<Result, Note> {
  const flights = new Map<string, Flight<Result, Note>>();

  function start(key: string, work: (signal: AbortSignal, note: (note: Note) => void) => Promise<Result>) {
    const controller = new AbortController();
    const listeners = new Set<((note: Note) => void) | undefined>();
    const note = (value: Note) => {
      for (const listener of listeners) listener?.(value);
    };
    const result = work(controller.signal, note);
    const flight: Flight<Result, Note> = { result, listeners, controller, waiting: 0 };
    flights.set(key, flight);
    const forget = () => {
      if (flights.get(key) === flight) flights.delete(key);
    };
    result.then(forget, forget);
    return flight;
  }

  return {
    async run(key, signal, onNote, work) {
      signal.throwIfAborted();
      const flight = flights.get(key) ?? start(key, work);
      flight.waiting++;
      flight.listeners.add(onNote);
      const aborted = Promise.withResolvers<never>();
      const abort = () => aborted.reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      try {
        return await Promise.race([flight.result, aborted.promise]);
      } finally {
        signal.removeEventListener("abort", abort);
        flight.listeners.delete(onNote);
        if (--flight.waiting === 0) {
          // A newcomer must not join what is being given up.
          if (flights.get(key) === flight) flights.delete(key);
          flight.controller.abort();
        }
      }
    },
  };
}
