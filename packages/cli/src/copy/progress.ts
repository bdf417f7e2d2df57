/** A copy shorter than this shows nothing, milliseconds; and how often the line changes. */
const quietMs = 1_000;
const everyMs = 250;

export interface ProgressState {
  readonly name: string;
  readonly doneBytes: number;
  /** undefined: nobody knows. */
  readonly totalBytes: number | undefined;
  /** What was there already when the copy began. */
  readonly startBytes: number;
  readonly elapsedMs: number;
}

const units = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

export function bytesText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (part: number) => String(part).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** One line of at most `columns` characters: what is least needed goes first where there are few. */
export function progressLine(state: ProgressState, columns: number): string {
  const { name, doneBytes, totalBytes, startBytes, elapsedMs } = state;
  const rate = elapsedMs > 0 ? ((doneBytes - startBytes) / elapsedMs) * 1000 : 0;
  const done = bytesText(doneBytes);
  const parts: string[] = [];
  if (totalBytes !== undefined && totalBytes > 0) {
    parts.push(`${Math.min(100, Math.floor((doneBytes / totalBytes) * 100))}%`, `${done} of ${bytesText(totalBytes)}`);
  } else parts.push(done);
  parts.push(`${bytesText(rate)}/s`);
  const left = totalBytes === undefined ? 0 : totalBytes - doneBytes;
  if (left > 0 && rate > 0 && left / rate < 100 * 3600) parts.push(`${durationText(left / rate)} left`);
  while (parts.length > 1 && parts.join("  ").length > columns) parts.pop();
  const told = parts.join("  ");
  const room = columns - told.length - 2;
  if (room < 4) return told.slice(0, columns);
  return `${name.length <= room ? name : `…${name.slice(1 - room)}`}  ${told}`;
}

/** The terminal that shows it; its clock can be replaced. */
export interface ProgressTerminal {
  readonly columns: number;
  write(text: string): void;
  nowMs(): number;
}

export interface Progress extends Disposable {
  begin(name: string, totalBytes: number | undefined): void;
  add(bytes: number): void;
  /** Bytes that an earlier copy moved: they count as done, not for the rate. */
  skip(bytes: number): void;
  /** Makes room for a line of somebody else's. */
  clear(): void;
}

/** Shows nothing. */
export const noProgress: Progress = {
  begin: () => {},
  add: () => {},
  skip: () => {},
  clear: () => {},
  [Symbol.dispose]: () => {},
};

/** A line that is written over, without any escape sequence, and is gone at the end. */
export function terminalProgress(terminal: ProgressTerminal): Progress {
  let state = { name: "", totalBytes: undefined as number | undefined, startBytes: 0, doneBytes: 0, startedAtMs: 0 };
  let width = 0;
  let shownAtMs = Number.NEGATIVE_INFINITY;
  const firstAtMs = terminal.nowMs();
  const show = (line: string): void => {
    terminal.write(`\r${line.padEnd(width)}`);
    width = line.length;
  };
  const clear = (): void => {
    if (width > 0) terminal.write(`\r${" ".repeat(width)}\r`);
    width = 0;
  };
  return {
    begin(name, totalBytes) {
      state = { name, totalBytes, startBytes: 0, doneBytes: 0, startedAtMs: terminal.nowMs() };
    },
    add(bytes) {
      state.doneBytes += bytes;
      const nowMs = terminal.nowMs();
      if (nowMs - firstAtMs < quietMs || nowMs - shownAtMs < everyMs) return;
      shownAtMs = nowMs;
      // The last column stays free: some terminals begin a new line there.
      show(progressLine({ ...state, elapsedMs: nowMs - state.startedAtMs }, terminal.columns - 1));
    },
    skip(bytes) {
      state.startBytes += bytes;
      state.doneBytes += bytes;
    },
    clear,
    [Symbol.dispose]: clear,
  };
}
