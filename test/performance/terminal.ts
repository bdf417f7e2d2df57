import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { type Attached, attach, startProcess } from "./attached.ts";
import { rounded, timed, timesOf } from "./figures.ts";
import { atMost, type Item, type ItemOptions } from "./item.ts";

const defaultN = 1000;
const warmUps = 200;
const busyTerminals = 10;
/** Between two keys of a fast typist. */
const typingPauseMs = 50;
const screenBytes = 2048;
const pty = { cols: 80, rows: 24 };
const ready = "ready";
const echoes = { command: `stty raw -echo; printf ${ready}; exec cat`, mode: "shell", pty };
/** Edits its line itself, as shells do. */
const shell = { command: "sh", args: ["-i"], mode: "argv", env: { PS1: ready }, pty };
/** Draws a screen twenty times a second: a shell that waits for input which nobody types starts no program. */
const redraws = {
  command: `screen=$(cat /workspace/screen); printf ${ready}; while :; do read -t 0.05 _; printf %s "$screen"; done`,
  mode: "shell",
  pty,
};
const backspace = 0x7f;
const stepBack = 0x08;

interface Terminal extends Attached {
  /** Sends a key; resolves to the milliseconds until this byte is shown. */
  key(sent: number, shown: number): Promise<number>;
  /** Bytes of output so far. */
  shownBytes(): number;
}

const openTerminal = async ({ api, server }: ItemOptions, id: string, process: object): Promise<Terminal> => {
  let onOutput: (bytes: Buffer) => void = () => {};
  let text = "";
  let shownBytes = 0;
  const drawn = new Promise<void>((resolve) => {
    onOutput = (bytes) => {
      text += bytes.toString("latin1");
      if (text.includes(ready)) resolve();
    };
  });
  const path = await startProcess(api, id, process);
  const attached = await attach({
    serverUrl: server.url,
    path,
    onOutput: (bytes) => {
      shownBytes += bytes.length;
      onOutput(bytes);
    },
  });
  await Promise.race([drawn, attached.ended.then(() => Promise.reject(new Error(`${path} has ended: ${text}`)))]);
  const key = async (sent: number, shown: number): Promise<number> => {
    const { ms } = await timed(() => {
      const seen = new Promise<void>((resolve) => {
        onOutput = (bytes) => {
          if (bytes.includes(shown)) resolve();
        };
      });
      attached.write(Buffer.of(sent));
      return seen;
    });
    return ms;
  };
  return { ...attached, key, shownBytes: () => shownBytes };
};

/** Keys that differ from the ones before them, so that no late echo is taken for the next one's. */
const typeLetters = async (terminal: Terminal, count: number, pauseMs = 0) => {
  const times: number[] = [];
  for (let at = 0; at < count; at++) {
    if (pauseMs > 0) await pause(pauseMs);
    const letter = 0x61 + (at % 26);
    times.push(await terminal.key(letter, letter));
  }
  return timesOf(times);
};

/** A letter and its removal in turn, at the shell's prompt. */
const typeAtPrompt = async (terminal: Terminal, count: number) => {
  const times: number[] = [];
  for (let at = 0; at < count; at++) {
    times.push(await (at % 2 === 0 ? terminal.key(0x78, 0x78) : terminal.key(backspace, stepBack)));
  }
  return timesOf(times);
};

/** From a key at the client to its echo there, alone and beside terminals that draw. */
export const terminal: Item = async (options) => {
  const { api, n = defaultN } = options;
  const id = await api.createSandbox({ vcpus: 2 });
  using stack = new DisposableStack();
  const open = async (process: object) => stack.use(await openTerminal(options, id, process));
  try {
    const path = `/api/v1/sandboxes/${id}/files?path=/workspace/screen`;
    const screen = "drawn by a program in the terminal. ".repeat(100).slice(0, screenBytes);
    await api.request({ method: "PUT", path, content: Readable.from([Buffer.from(screen)], { objectMode: false }) });

    const cat = await open(echoes);
    const prompt = await open(shell);
    await typeLetters(cat, warmUps);
    await typeAtPrompt(prompt, warmUps);
    const alone = await typeLetters(cat, n);
    const typist = await typeLetters(cat, n, typingPauseMs);
    const inShell = await typeAtPrompt(prompt, n);
    const busy: Terminal[] = [];
    for (let at = 0; at < busyTerminals; at++) busy.push(await open(redraws));
    const shownBytes = () => busy.reduce((sum, each) => sum + each.shownBytes(), 0);
    const before = shownBytes();
    const { value: besideBusy, ms } = await timed(() => typeLetters(cat, n, typingPauseMs));
    const drawn = { terminals: busyTerminals, kb_per_s: rounded((shownBytes() - before) / ms) };
    return {
      figures: {
        key_after_echo: alone,
        key_every_50_ms: typist,
        at_shell_prompt: inShell,
        beside_busy: besideBusy,
        busy: drawn,
      },
      lines: [
        atMost("keystroke, p50", 8, "ms", alone.p50_ms),
        atMost(`keystroke every ${typingPauseMs} ms, p50`, 8, "ms", typist.p50_ms),
        atMost("keystroke at a shell's prompt, p50", 8, "ms", inShell.p50_ms),
        atMost(`keystroke beside ${busyTerminals} busy terminals, p50`, 8, "ms", besideBusy.p50_ms),
      ],
    };
  } finally {
    await api.destroySandbox(id);
  }
};
