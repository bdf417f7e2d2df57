import type { Decision } from "../egress/egress.ts";
import type { Clock } from "../lib/clock.ts";
import type { NewEvent } from "../telemetry/events.ts";
import type { about } from "./about.ts";

/** The least time between two events about one sandbox's denials, milliseconds. */
export const denialPauseMs = 1_000;

type About = ReturnType<typeof about>;

interface Watched {
  readonly about: About;
  toldAtMs: number;
  untold: number;
}

/** Tells of connections that were denied, at most once a second and sandbox, and of how many it didn't tell. */
export class Denials {
  readonly #watched = new Map<string, Watched>();
  readonly #publish: (event: NewEvent) => void;
  readonly #clock: Clock;

  constructor({ publish, clock }: { readonly publish: (event: NewEvent) => void; readonly clock: Clock }) {
    this.#publish = publish;
    this.#clock = clock;
  }

  watch(sandboxId: string, about: About): void {
    this.#watched.set(sandboxId, { about, toldAtMs: 0, untold: 0 });
  }

  forget(sandboxId: string): void {
    this.#watched.delete(sandboxId);
  }

  /** Of a sandbox that isn't watched, and of what wasn't denied, nothing is told. */
  tell(sandboxId: string, { decision, host, address, port, reason = "" }: Decision): void {
    if (decision !== "denied") return;
    const watched = this.#watched.get(sandboxId);
    if (watched === undefined) return;
    const nowMs = this.#clock.now();
    if (nowMs - watched.toldAtMs < denialPauseMs) {
      watched.untold += 1;
      return;
    }
    const data = {
      reason,
      untold: watched.untold,
      ...(host === undefined ? {} : { host }),
      ...(address === undefined ? {} : { address }),
      ...(port === undefined ? {} : { port }),
    };
    watched.toldAtMs = nowMs;
    watched.untold = 0;
    this.#publish({ type: "network.denied", ...watched.about, data });
  }
}
