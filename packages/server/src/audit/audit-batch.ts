import type { AuditStore, OperationAudit } from "../store/store.ts";

/** Longest time a row waits to be written, milliseconds. */
const flushAfterMs = 200;
/** Rows of one insert. */
const batchMax = 500;
/** Rows that wait while the database doesn't answer; beyond it the oldest are lost, and the log says so. */
const pendingMax = 50_000;

export interface AuditBatchOptions {
  readonly store: AuditStore;
  /** The database failed, or rows were lost. */
  readonly onFailure: (error: unknown, lost: number) => void;
}

/** Takes audit rows without making callers wait, and writes many at once. Disposing writes what is left. */
export class AuditBatch implements AsyncDisposable {
  readonly #options: AuditBatchOptions;
  #pending: OperationAudit[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(options: AuditBatchOptions) {
    this.#options = options;
  }

  readonly add = (row: OperationAudit): void => {
    if (this.#closed) {
      // What ends after the shutdown's own deadlines; a timer for it would keep the process for ever.
      this.#options.onFailure(new Error("the audit is closed"), 1);
      return;
    }
    this.#pending.push(row);
    if (this.#pending.length > pendingMax) {
      this.#pending.shift();
      this.#options.onFailure(new Error("audit rows come faster than they are written"), 1);
    }
    this.#timer ??= setTimeout(() => void this.flush(), flushAfterMs);
  };

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    this.#writing = this.#write();
    await this.#writing;
    this.#writing = undefined;
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const rows = this.#pending.splice(0, batchMax);
      try {
        await this.#options.store.record(rows);
      } catch (error) {
        this.#pending = [...rows, ...this.#pending];
        this.#options.onFailure(error, this.#closed ? this.#pending.length : 0);
        if (!this.#closed) this.#timer ??= setTimeout(() => void this.flush(), flushAfterMs * 10);
        return;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.flush();
  }
}
