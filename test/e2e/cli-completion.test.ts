import { expect, test } from "vitest";
import { launcher, runProgram } from "./cli-process.ts";

/** Loads the script into bash and asks what may come after the words. */
const completions = async (...words: readonly string[]): Promise<readonly string[]> => {
  const script = 'source <("$0" completion bash) && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))';
  const ask = `${script} && complete -p stacyvm >/dev/null && _stacyvm && printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = await runProgram("bash", ["--norc", "-uc", ask, launcher, ...words]);
  expect([status, stderr]).toEqual([0, ""]);
  return stdout.trim().split("\n");
};

const everywhere = ["-h", "--help", "--server", "--api-key", "--tenant", "--project", "--json"];

test.each<readonly [readonly string[], readonly string[]]>([
  [["stacyvm", "im"], ["image"]],
  [
    ["stacyvm", "image", ""],
    ["pull", "import", "list", "rm", "gc", "build-base", ...everywhere],
  ],
  [["stacyvm", "--server", "list", "image", "bu"], ["build-base"]],
  [
    ["stacyvm", "key", ""],
    ["create", "list", "revoke", ...everywhere],
  ],
  [["stacyvm", "key", "create", "--ro"], ["--role"]],
  [
    ["stacyvm", "secret", ""],
    ["set", "list", "rm", "rotate", ...everywhere],
  ],
  [
    ["stacyvm", "secret", "set", "--from"],
    ["--from-file", "--from-env"],
  ],
  [
    ["stacyvm", "tenant", ""],
    ["create", "list", "show", "update", "delete", ...everywhere],
  ],
  [["stacyvm", "tenant", "rm", "--c"], ["--cascade"]],
  [["stacyvm", "--tenant", "acme", "member", "a"], ["add"]],
  [["stacyvm", "member", "add", "ann", "--role", ""], [""]],
  [["stacyvm", "registry-credential", "s"], ["set"]],
  [
    ["stacyvm", "config", "s"],
    ["show", "set"],
  ],
  [
    ["stacyvm", "ls", ""],
    ["--label", "--name", "--state", "--sort", ...everywhere],
  ],
  [["stacyvm", "kill", "--j"], ["--json"]],
  [["stacyvm", "image", "ls", "--co"], ["--config"]],
  [["stacyvm", "image", "ls", "--config", "/etc/pass"], expect.arrayContaining(["/etc/passwd"])],
  [["stacyvm", "spawn", "--ttl", ""], [""]],
  [["stacyvm", "exec", "sb-1", "--", "--j"], [""]],
  [["stacyvm", "completion", "f"], ["fish"]],
])("bash completes %j", async (words, expected) => {
  expect(await completions(...words)).toEqual(expected);
});

test("bash completes every command that the help names", async () => {
  const { stdout } = await runProgram(launcher, ["--help"]);
  const named = [...stdout.matchAll(/^ {2}([a-z][\w-]*)(?=[ |])/gm)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(5);
  expect(await completions("stacyvm", "")).toEqual(expect.arrayContaining(named.filter((name) => name !== "help")));
});

test.each(["zsh", "fish"])("the script for %s names every command and every flag that bash's does", async (shell) => {
  const [bash, other] = await Promise.all(
    ["bash", shell].map(async (name) => (await runProgram(launcher, ["completion", name])).stdout),
  );
  const words = [...(bash ?? "").matchAll(/words='([^']+)'/g)].flatMap(([, all]) => (all ?? "").split(" "));
  const missing = [...new Set(words)].filter((word) => {
    const written = shell === "fish" ? word.replace(/^--/, "-l ").replace(/^-(?=\w$)/, "-s ") : word;
    return other?.includes(written) !== true;
  });
  expect([words.length > 20, missing]).toEqual([true, []]);
});
