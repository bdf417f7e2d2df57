import { expect, test } from "vitest";
import { Recent } from "./recent.ts";

let nowMs = 0;
const recent = (max = 10) => new Recent<string>({ clock: { now: () => nowMs }, forMs: 100, max });
const saying = (text: string) => async () => text;

test("an answer counts for its time, from before the look on, and is then looked up again", async () => {
  nowMs = 0;
  const answers = recent();
  const slow = async () => {
    nowMs += 40;
    return "first";
  };
  expect(await answers.get("a", slow)).toBe("first");
  nowMs = 99;
  expect(await answers.get("a", saying("second"))).toBe("first");
  expect(answers.peek("a")?.value).toBe("first");
  nowMs = 100;
  expect(answers.peek("a")).toBeUndefined();
  expect(await answers.get("a", saying("second"))).toBe("second");
});

test("what is set or forgotten meanwhile outlives a look under way", async () => {
  const answers = recent();
  const looks = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const first = answers.get("a", () => looks[0]?.promise ?? Promise.reject());
  answers.set("a", "set");
  looks[0]?.resolve("old");
  expect(await first).toBe("set");
  expect(await answers.get("a", saying("unasked"))).toBe("set");

  answers.forget();
  const second = answers.get("a", () => looks[1]?.promise ?? Promise.reject());
  answers.forget();
  looks[1]?.resolve("old");
  expect(await second).toBe("old");
  expect(await answers.get("a", saying("new"))).toBe("new");
});

test("a failed look leaves nothing, and no more is remembered than may", async () => {
  const answers = recent(2);
  await expect(answers.get("a", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
  for (const key of ["a", "b", "c"]) expect(await answers.get(key, saying(key))).toBe(key);
  expect(["a", "b", "c"].map((key) => answers.peek(key)?.value)).toEqual([undefined, "b", "c"]);
});
