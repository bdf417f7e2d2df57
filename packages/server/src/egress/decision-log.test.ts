import { expect, test } from "vitest";
import { DecisionLog } from "./decision-log.ts";
import { type Decision, decisionsMax } from "./egress.ts";

const decision = (flow: number): Decision => ({ type: "decision", atMs: flow, flow });
const now = () => 7;

test("keeps the last decisions of each sandbox, and nothing of one that it wasn't told of", () => {
  const log = new DecisionLog();
  log.open("a");
  for (let flow = 0; flow < decisionsMax + 5; flow += 1) log.add("a", decision(flow));
  log.add("b", decision(1));
  expect(log.last("a", decisionsMax)).toHaveLength(decisionsMax);
  expect(log.last("a", 2)).toEqual([decision(decisionsMax + 3), decision(decisionsMax + 4)]);
  expect(log.last("a", 0)).toEqual([]);
  expect(log.last("b", 10)).toEqual([]);
});

test("a follower is told what comes, and ends when the sandbox does", async () => {
  const log = new DecisionLog();
  log.open("a");
  log.add("a", decision(1));
  const following = log.follow("a", new AbortController().signal, now);
  const first = following.next();
  log.add("a", decision(2));
  expect((await first).value).toEqual(decision(2));
  const second = following.next();
  log.add("a", decision(3));
  log.close("a");
  expect((await second).value).toEqual(decision(3));
  expect((await following.next()).done).toBe(true);
});

test("a follower ends with its signal", async () => {
  const log = new DecisionLog();
  log.open("a");
  const leave = new AbortController();
  const following = log.follow("a", leave.signal, now);
  const first = following.next();
  leave.abort();
  expect((await first).done).toBe(true);
});

test("a follower that is too slow is told how many it missed, then the rest", async () => {
  const log = new DecisionLog();
  log.open("a");
  const following = log.follow("a", new AbortController().signal, now);
  const first = following.next();
  for (let flow = 0; flow < decisionsMax + 4; flow += 1) log.add("a", decision(flow));
  expect((await first).value).toEqual({ type: "missed", atMs: 7, count: 4 });
  expect((await following.next()).value).toEqual(decision(4));
});
