import fc from "fast-check";
import { expect, test } from "vitest";
import { isProcessId, isRequestId, isSandboxId, sandboxId } from "./ids.ts";

test("a sandbox id is sb- and the sixteen hex digits of its eight bytes", () => {
  expect(sandboxId(Uint8Array.from([0, 1, 15, 16, 171, 205, 239, 255]))).toBe("sb-00010f10abcdefff");
  expect(() => sandboxId(new Uint8Array(7))).toThrow(RangeError);
  fc.assert(fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (bytes) => isSandboxId(sandboxId(bytes))));
});

test("a process id is pr- and sixteen hex digits, and no pid passes for one", () => {
  expect(isProcessId("pr-00010f10abcdefff")).toBe(true);
  for (const id of ["1", "pr-1", "pr-00010F10ABCDEFFF", "sb-00010f10abcdefff", "pr-00010f10abcdefff\n"])
    expect(isProcessId(id)).toBe(false);
});

test("a request id has a bounded length and no character that could end a header or a quoted text", () => {
  expect(isRequestId("6f0d-A.b_c")).toBe(true);
  for (const id of ["", "a b", 'a"', "a\n", "a".repeat(129), "é"]) expect(isRequestId(id)).toBe(false);
});
