import { execFileSync } from "node:child_process";
import type { StacyError } from "@stacyvm/contract";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { execArgv, parseExecMode } from "./exec-mode.ts";
import { guestPath } from "./guest-path.ts";
import { checkTtl, effectiveLimits, execTimeoutMs } from "./limits.ts";
import { parseOwnerId } from "./owner.ts";
import type { SandboxState } from "./sandbox.ts";
import { livingStates, statesBefore, transitions } from "./states.ts";

const reasonOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return (error as StacyError).reason;
  }
  return undefined;
};

describe("states", () => {
  const states = Object.keys(transitions) as SandboxState[];

  test("every state but the last can be destroyed, in one step or by being destroyed already", () => {
    for (const state of livingStates.filter((each) => each !== "destroying")) {
      expect(transitions[state], state).toContain("destroying");
    }
    expect(transitions.destroying).toEqual(["destroyed"]);
    expect(transitions.destroyed).toEqual([]);
  });

  test("nothing comes back: from destroying only destroyed is reached, whatever the walk", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 20 }), (choices) => {
        let state: SandboxState = "creating";
        let ending = false;
        for (const choice of choices) {
          const next: readonly SandboxState[] = transitions[state];
          if (next.length === 0) break;
          state = next[choice % next.length] ?? state;
          if (ending) expect(state).toBe("destroyed");
          ending ||= state === "destroying";
        }
      }),
    );
  });

  test("statesBefore is the table read backwards", () => {
    for (const to of states)
      for (const from of states)
        expect(statesBefore(to).includes(from)).toBe((transitions[from] as readonly string[]).includes(to));
  });
});

describe("exec modes", () => {
  test("shell mode hands arguments to the command unchanged, whatever they hold", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary-ascii" }), { maxLength: 4 }), (args) => {
        const safe = args.map((arg) => arg.replaceAll("\0", ""));
        const [program = "", ...rest] = execArgv("shell", "printf '%s\\0'", safe);
        const out = execFileSync(program, rest, { encoding: "utf8" });
        expect(out).toBe(safe.length === 0 ? "\0" : safe.map((arg) => `${arg}\0`).join(""));
      }),
      { numRuns: 40 },
    );
  });

  test("argv mode never names a shell and needs a command", () => {
    expect(execArgv("argv", "echo", ["$HOME", "; rm -rf /"])).toEqual(["echo", "$HOME", "; rm -rf /"]);
    expect(reasonOf(() => execArgv("argv", "  ", []))).toBe("invalid_input");
  });

  test("an unknown mode is refused by name", () => {
    expect(() => parseExecMode("bash")).toThrow('invalid input: unsupported exec mode "bash"');
    expect(parseExecMode(" shell ")).toBe("shell");
    expect(parseExecMode(undefined)).toBe("shell");
  });
});

describe("paths", () => {
  test("relative paths start in the workspace and the result is always absolute and clean", () => {
    expect(guestPath("a b/c")).toBe("/workspace/a b/c");
    expect(guestPath("/etc/../etc/passwd")).toBe("/etc/passwd");
    expect(guestPath("../../../x")).toBe("/x");
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        fc.pre(!text.includes("\0"));
        const path = guestPath(text);
        expect(path.startsWith("/")).toBe(true);
        expect(path.split("/")).not.toContain("..");
      }),
    );
  });

  test("a NUL byte and one byte too many are refused", () => {
    expect(reasonOf(() => guestPath("a\0b"))).toBe("invalid_input");
    expect(guestPath(`/${"a".repeat(4094)}`)).toHaveLength(4095);
    expect(reasonOf(() => guestPath(`/${"a".repeat(4095)}`))).toBe("invalid_input");
  });
});

describe("limits", () => {
  const limits = {
    defaultTtlMs: 1,
    maxTtlMs: 100,
    defaultExecTimeoutMs: 0,
    maxExecTimeoutMs: 600_000,
    maxSandboxes: 0,
    maxSandboxesPerOwner: 3,
  };

  test("an owner's own value replaces the default, looser or tighter; zero inherits", () => {
    const own = { maxSandboxes: 0, maxTtlMs: 200, maxExecTimeoutMs: 5 };
    expect(effectiveLimits(limits, own)).toEqual({ maxTtlMs: 200, maxExecTimeoutMs: 5, maxOwnerSandboxes: 3 });
    expect(effectiveLimits(limits, undefined).maxTtlMs).toBe(100);
  });

  test("a ttl of exactly the maximum passes, one more doesn't, and no maximum lets all pass", () => {
    checkTtl(100, 100);
    checkTtl(1e15, 0);
    expect(reasonOf(() => checkTtl(101, 100))).toBe("ttl_above_max");
  });

  test("an absent exec timeout is the default, else the maximum; above it or negative is refused", () => {
    expect(execTimeoutMs(undefined, 0, 600_000)).toBe(600_000);
    expect(execTimeoutMs(0, 30_000, 600_000)).toBe(30_000);
    expect(execTimeoutMs(1_000, 30_000, 600_000)).toBe(1_000);
    expect(() => execTimeoutMs(660_000, 0, 600_000)).toThrow("exec timeout 11m0s exceeds max exec timeout 10m0s");
    expect(() => execTimeoutMs(-1, 0, 600_000)).toThrow("exec timeout cannot be negative");
  });
});

describe("owner ids", () => {
  test("addresses pass, separators, white space and control characters don't, and 128 bytes is the most", () => {
    expect(parseOwnerId("  alice@example.com ")).toBe("alice@example.com");
    expect(parseOwnerId("")).toBe("");
    expect(parseOwnerId("x".repeat(128))).toHaveLength(128);
    for (const bad of ["a/b", "a\\b", "a b", "a\tb", "a\u007fb", "x".repeat(129), "é".repeat(65)]) {
      expect(
        reasonOf(() => parseOwnerId(bad)),
        bad,
      ).toBe("invalid_input");
    }
  });
});
