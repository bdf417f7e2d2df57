import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { expect, vi } from "vitest";
import { launcher } from "./cli-process.ts";

/** Prompt of the shell on this machine. */
const localPrompt = "local$";
const waiting = { timeout: 15_000, interval: 25 };

export interface TestTerminal extends Disposable {
  type(text: string): void;
  /** By tmux's name, for example `Enter` or `C-c`. */
  key(name: string): void;
  /** Types the words and Enter. */
  line(text: string): void;
  /** Types a `stacyvm` command for the server and Enter. */
  stacyvm(...words: readonly string[]): void;
  resize(cols: number, rows: number): void;
  /** The text, without what is empty at its end. */
  screen(): string;
  /** Every cell with its rendition, where the cursor is, and the modes. */
  cells(): string;
  /** The cells when they have come to rest: the same twice in a row. */
  settled(): Promise<string>;
  until(words: string): Promise<void>;
  /** What comes last is this prompt; that of the local shell where none is given. */
  prompt(text?: string): Promise<void>;
}

/** A real terminal with a shell of this machine, whose screen can be read. */
export const openTerminal = (serverUrl: () => string, { cols = 80, rows = 24 } = {}): TestTerminal => {
  const socket = `stacyvm-${randomBytes(6).toString("hex")}`;
  const tmux = (...args: readonly string[]): string =>
    execFileSync("tmux", ["-L", socket, "-f", "/dev/null", ...args], { encoding: "utf8", stdio: "pipe" });
  const size = ["-x", String(cols), "-y", String(rows)];
  tmux("new-session", "-d", ...size, "env", `PS1=${localPrompt} `, "sh");
  const screen = () => tmux("capture-pane", "-p").trimEnd();
  const state = [
    "cursor_x",
    "cursor_y",
    "cursor_flag",
    "alternate_on",
    "keypad_cursor_flag",
    "insert_flag",
    "wrap_flag",
  ];
  const type = (text: string) => void tmux("send-keys", "-l", text);
  const key = (name: string) => void tmux("send-keys", name);
  const line = (text: string) => {
    type(text);
    key("Enter");
  };
  const cells = () =>
    tmux("capture-pane", "-p", "-e", "-N") +
    tmux("display-message", "-p", state.map((name) => `${name}=#{${name}}`).join(" "));
  return {
    type,
    key,
    line,
    stacyvm: (...words) => line(`clear; ${launcher} --server ${serverUrl()} ${words.join(" ")}`),
    resize: (wide, high) => void tmux("resize-window", "-x", String(wide), "-y", String(high)),
    screen,
    cells,
    async settled() {
      let before = "";
      const look = () => {
        const last = before;
        before = cells();
        expect(before).toBe(last);
        return before;
      };
      return await vi.waitFor(look, { timeout: 15_000, interval: 300 });
    },
    until: (words) => vi.waitFor(() => expect(screen()).toContain(words), waiting),
    prompt: (text = localPrompt) => vi.waitFor(() => expect(screen().endsWith(text)).toBe(true), waiting),
    [Symbol.dispose]: () => void spawnSync("tmux", ["-L", socket, "kill-server"]),
  };
};
