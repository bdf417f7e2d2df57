import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { busyboxTar } from "./server.ts";

const run = (program: string, ...args: readonly string[]) => execFileSync(program, args, { encoding: "utf8" }).trim();

/** Big, and in no way needed by an interpreter's prompt. */
const leftOut = /^(test|config-.*|dist-packages|ensurepip|idlelib|lib2to3|tkinter|pydoc_data|distutils)$/;

const leftOutOfVim = /^(doc|keymap|lang|spell|tutor)$/;

const libraries = (file: string): readonly string[] =>
  [...run("ldd", file).matchAll(/(?:=> )?(\/\S+) \(/g)].map(([, path = ""]) => path);

/** busybox's tree with this machine's vim, top and python3, and what they read; as a tar. */
export const terminalTar = (folder: string): string =>
  busyboxTar(folder, (rootfs) => {
    const stdlib = run("/usr/bin/python3", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))");
    const copy = (from: string, to = from): void => {
      if (existsSync(join(rootfs, to))) rmSync(join(rootfs, to));
      cpSync(from, join(rootfs, to), { recursive: true, dereference: true });
    };
    const dynamic = join(stdlib, "lib-dynload");
    const readline = readdirSync(dynamic).find((name) => name.startsWith("readline.")) ?? "";
    const programs = { vim: "/usr/bin/vim", top: "/usr/bin/top", python3: "/usr/bin/python3" };
    for (const [name, path] of Object.entries(programs)) copy(realpathSync(path), join("/usr/bin", name));
    for (const path of new Set([...Object.values(programs), join(dynamic, readline)].flatMap(libraries))) copy(path);
    for (const name of readdirSync(stdlib)) if (!leftOut.test(name)) copy(join(stdlib, name));
    // Without its own files vim draws no colours.
    const vimFiles = "/usr/share/vim";
    const version = readdirSync(vimFiles).find((name) => /^vim\d+$/.test(name)) ?? "";
    for (const name of readdirSync(join(vimFiles, version))) {
      if (!leftOutOfVim.test(name)) copy(join(vimFiles, version, name));
    }
    const described = ["/usr/share/terminfo", "/lib/terminfo"].map((root) => join(root, "s/screen-256color"));
    const terminfo = described.find(existsSync) ?? "";
    copy(terminfo, join("/usr/share/terminfo/s", terminfo.slice(dirname(terminfo).length)));
  });
