import { expect, test } from "vitest";
import { bytesText, progressLine, terminalProgress } from "./progress.ts";

const state = { name: "model.safetensors", doneBytes: 1.2e9, totalBytes: 4e9, startBytes: 0, elapsedMs: 10_000 };

test("the line has name, share, bytes, rate and time left, and gives up the last of them where columns are few", () => {
  const lines = [100, 60, 50, 40, 30, 20, 10, 3].map((columns) => progressLine(state, columns));
  expect(lines).toMatchInlineSnapshot(`
    [
      "model.safetensors  30%  1.2 GB of 4.0 GB  120 MB/s  0:24 left",
      "…del.safetensors  30%  1.2 GB of 4.0 GB  120 MB/s  0:24 left",
      "…nsors  30%  1.2 GB of 4.0 GB  120 MB/s  0:24 left",
      "…ensors  30%  1.2 GB of 4.0 GB  120 MB/s",
      "…ensors  30%  1.2 GB of 4.0 GB",
      "…el.safetensors  30%",
      "…sors  30%",
      "30%",
    ]
  `);
  expect(progressLine({ ...state, totalBytes: undefined }, 60)).toMatchInlineSnapshot(
    `"model.safetensors  1.2 GB  120 MB/s"`,
  );
  expect(progressLine({ ...state, startBytes: 1.2e9 }, 60)).toMatchInlineSnapshot(
    `"model.safetensors  30%  1.2 GB of 4.0 GB  0 B/s"`,
  );
});

test("bytes have three figures", () => {
  expect([0, 999, 1000, 12_345, 999_499, 999_500, 5e12, 7e18].map(bytesText)).toMatchInlineSnapshot(`
    [
      "0 B",
      "999 B",
      "1.0 kB",
      "12.3 kB",
      "999 kB",
      "1.0 MB",
      "5.0 TB",
      "7000 PB",
    ]
  `);
});

const terminalAt = (clock: { ms: number }, columns = 60) => {
  let text = "";
  const write = (more: string): void => {
    text += more;
  };
  const terminal = { columns, write, nowMs: () => clock.ms };
  return { terminal, text: () => text };
};

test("what an earlier copy moved counts as done and not for the rate; a line of somebody else's has the line for itself", () => {
  const clock = { ms: 0 };
  const { terminal, text } = terminalAt(clock);
  using progress = terminalProgress(terminal);
  progress.begin("a.bin", 4000);
  progress.skip(2000);
  clock.ms = 1000;
  progress.add(1000);
  expect(text()).toBe("\ra.bin  75%  3.0 kB of 4.0 kB  1.0 kB/s  0:01 left");
  progress.clear();
  expect(text().split("\r").slice(2)).toEqual([" ".repeat(49), ""]);
});

test("a copy of less than a second shows nothing; a longer one a line, a few times a second, that is gone at the end", () => {
  const clock = { ms: 0 };
  const { terminal, text } = terminalAt(clock);
  {
    using progress = terminalProgress(terminal);
    progress.begin("a.bin", 4000);
    for (clock.ms = 0; clock.ms < 1000; clock.ms += 10) progress.add(10);
    expect(text()).toBe("");
    for (; clock.ms < 2000; clock.ms += 10) progress.add(10);
  }
  const shown = text().split("\r").slice(1);
  expect(shown).toHaveLength(4 + 2);
  expect(shown[0]).toBe("a.bin  25%  1.0 kB of 4.0 kB  1.0 kB/s  0:03 left");
  expect(shown.slice(-2)).toEqual([expect.stringMatching(/^ {40,}$/), ""]);
  expect(text()).not.toContain("\u001b");
});
