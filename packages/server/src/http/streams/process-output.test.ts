import { expect, test } from "vitest";
import type { ProcessEvent } from "../../guest/guest-processes.ts";
import { LostOutput, processBytes, processLines, processServerSentEvents } from "./process-output.ts";

async function* sent(...events: readonly ProcessEvent[]): AsyncGenerator<ProcessEvent> {
  yield* events;
}
const output = (offset: number, data: string): ProcessEvent => ({
  type: "output",
  stream: "stdout",
  offset,
  data: Buffer.from(data, "latin1"),
});
const gap: ProcessEvent = { type: "gap", offset: 2, until: 7 };

test("an event's id is where its reader goes on, after a gap too", async () => {
  const events = sent(output(0, "ab"), gap, { type: "live", offset: 7 }, output(7, "c"), { type: "keepalive" });
  const text = (await Array.fromAsync(processServerSentEvents(events, "base64"))).join("");
  expect(text.match(/^id: \d+$/gm)).toEqual(["id: 2", "id: 7", "id: 7", "id: 8"]);
  expect(text.endsWith("\n\n: heartbeat\n\n")).toBe(true);
});

test("a character that a gap cuts is told as cut before the gap, and nothing of it after", async () => {
  const lines = await Array.fromAsync(processLines(sent(output(0, "a\xc3"), gap, output(7, "\xa9b")), "text"));
  expect(lines.map((line) => JSON.parse(line).data)).toEqual(["a", "\ufffd", undefined, "\ufffdb"]);
});

test("raw bytes pass over a gap at their beginning and end with an error at any other", async () => {
  const early = sent({ type: "gap", offset: 0, until: 7 }, output(7, "c"));
  expect(Buffer.concat(await Array.fromAsync(processBytes(early, () => {}))).toString()).toBe("c");
  await expect(Array.fromAsync(processBytes(sent(output(0, "ab"), gap, output(7, "c")), () => {}))).rejects.toThrow(
    LostOutput,
  );
});
