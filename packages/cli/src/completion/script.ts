import type { Command } from "commander";
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { completionTable } from "./table.ts";
import { zshScript } from "./zsh.ts";

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

/** What a shell has to read to complete the program's commands and options. */
export const completionScript = (program: Command, shell: keyof typeof scripts): string =>
  scripts[shell](completionTable(program));
