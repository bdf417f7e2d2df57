import { timingSafeEqual } from "node:crypto";
import { inspect } from "node:util";

const redacted = "[redacted]";

/** A value that shows itself only to `reveal`: logs, JSON, templates and inspection get `[redacted]`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  /** In a time that tells nothing but whether the lengths differ. */
  equals(other: string): boolean {
    const own = Buffer.from(this.#value);
    const given = Buffer.from(other);
    return own.length === given.length && timingSafeEqual(own, given);
  }

  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [inspect.custom](): string {
    return redacted;
  }
}
