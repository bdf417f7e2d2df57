import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../e2e/server.ts";
import { compareAnswers, metricTypes } from "./compare.ts";
import { closedSets, type Difference, differences, sandboxDifferences, savedFor } from "./differences.ts";
import { type Exchange, type Received, send, textAt } from "./exchange.ts";
import { asked, inOurNames, intended, type Surroundings } from "./expectation.ts";
import { dependsOnNotServed, notServed } from "./not-served.ts";

const recording = (name: string): readonly Exchange[] =>
  JSON.parse(readFileSync(resolve(import.meta.dirname, `../data/compat/${name}.json`), "utf8"));

const adminKey = "a".repeat(40);

const recordings = [
  { file: "open", config: {} },
  {
    file: "auth",
    config: {
      "auth.api_key": "k".repeat(40),
      "auth.admin_api_key": adminKey,
      "auth.admin_fallback_enabled": "false",
      "auth.worker_signing_key": "s".repeat(40),
    },
  },
] as const;

const missing = new Map(notServed.flatMap(({ what, rows }) => rows.map((row) => [row, what] as const)));
/** Numbers that say how busy the server was. */
const shapeOnly = ["metrics"];
const seenDifferences = new Set<string>();
const seenInSandboxes = new Set<string>();

const noteSandboxes = (json: unknown): void => {
  const id = textAt(json, "id");
  if (id !== undefined && /^sb-[0-9a-f]{16}$/.test(id)) seenInSandboxes.add("id");
  if (/:\d+$/.test(textAt(json, "preview_domain") ?? "")) seenInSandboxes.add("preview_domain");
};

const complaintsOf = (
  row: Exchange,
  answer: Received,
  difference: Difference | undefined,
  here: Surroundings,
): string[] => {
  if (row.name === "prometheus") return prometheusComplaints(row, answer);
  const closed = closedSets[row.name];
  const strictness = { shapeOnly: shapeOnly.includes(row.name), ...(closed === undefined ? {} : { closed }) };
  const expected = inOurNames(intended(row.response, difference), here, true);
  const found = compareAnswers(expected, answer, strictness);
  for (const [key, name] of Object.entries(difference?.same ?? {}))
    if (textAt(answer.json, key) !== here.values.get(name))
      found.push(`json.${key}: changed, although nobody named it`);
  if (difference?.withinMs !== undefined && answer.tookMs > difference.withinMs)
    found.push(`took ${Math.round(answer.tookMs)} ms, and ${difference.withinMs} are allowed`);
  return found;
};

/** The recorded page calls every metric a gauge; those that only grow are counters. */
const prometheusComplaints = (row: Exchange, answer: Received): string[] => {
  const types = metricTypes(answer.text);
  return [...metricTypes(String(row.response.text))].flatMap(([name, type]) => {
    const counts = /^(?!stacyvm_(sandboxes|workers|leases)_total$).*_total$/.test(name);
    const wanted = counts ? "counter" : type;
    return types.get(name) === wanted ? [] : [`${name}: ${wanted} expected, ${types.get(name) ?? "nothing"} received`];
  });
};

describe.each(recordings)("the exchanges recorded as $file", ({ file, config }) => {
  let server: TestServer;
  const values = new Map<string, string>();
  const renamed = new Map<string, string>();
  beforeAll(async () => {
    server = await startServer({ config });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const keep = (row: Exchange, answer: Received): void => {
    for (const [name, path] of Object.entries({ ...row.save, ...savedFor[row.name] })) {
      const [now, then] = [textAt(answer.json, path), textAt(row.response.json, path)];
      if (now !== undefined) values.set(name, now);
      if (now !== undefined && then !== undefined) renamed.set(then, now);
    }
  };

  test.for(recording(file))("$name", async (row, context) => {
    const waits = dependsOnNotServed[`${file}: ${row.name}`];
    if (waits !== undefined) context.skip(waits);
    const here = {
      provider: server.defaultProvider,
      previewDomain: `localhost:${new URL(server.url).port}`,
      values,
      renamed,
    };
    const difference = differences[row.name];
    const request = asked(row, difference, here);
    const absent = missing.get(row.name);
    // The path of a stranger is 401, whatever is behind it.
    const headers = absent === undefined ? request.headers : { ...request.headers, "X-Admin-API-Key": adminKey };
    const answer = await send(server.url, { ...request, ...(headers === undefined ? {} : { headers }) });
    if (absent !== undefined) {
      expect(answer, `${row.name} is served now: take it off the list`).toMatchObject({
        status: 404,
        text: "404 page not found\n",
      });
      context.skip(`${absent}: not served yet`);
    }
    keep(row, answer);
    noteSandboxes(answer.json);
    expect(complaintsOf(row, answer, difference, here)).toEqual([]);
    if (difference === undefined || difference.ask !== undefined) return;
    const asRecorded = compareAnswers(inOurNames(row.response, here, true), answer, {
      closed: closedSets[row.name] ?? false,
    });
    const unchanged = asRecorded.length === 0 && difference.same === undefined && difference.withinMs === undefined;
    expect(unchanged, `${row.name} is listed as different and answers as recorded`).toBe(false);
    seenDifferences.add(row.name);
  });
});

test("every difference on the list was seen", () => {
  const listed = Object.entries(differences).filter(([, { ask }]) => ask === undefined);
  expect([...seenDifferences].sort()).toEqual(listed.map(([name]) => name).sort());
  expect([...seenInSandboxes].sort()).toEqual(Object.keys(sandboxDifferences).sort());
});
