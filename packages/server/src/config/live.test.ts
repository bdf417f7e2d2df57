import fc from "fast-check";
import { expect, test } from "vitest";
import { changedConfig, LiveConfig, livePaths, liveValues } from "./live.ts";
import { loadConfig } from "./load.ts";
import { ConfigError, type Problem } from "./problem.ts";
import { keys } from "./schema.ts";

const load = (overrides: Record<string, string> = {}) =>
  loadConfig({ env: {}, cwd: "/srv", home: "/home/me", uid: 0, readFile: () => "", overrides }).config;

const problems = (body: Record<string, unknown>, config = load()): readonly Problem[] => {
  try {
    changedConfig(config, body);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems;
  }
};

test("what may change is known, and no secret and no path of a file is among it", () => {
  const types = livePaths.map((path) => keys.find((key) => key.path === path)?.setting.type);
  expect(types).not.toContain(undefined);
  expect(types.filter((type) => type === "path" || type?.includes("secret"))).toEqual([]);
  expect(Object.keys(liveValues(load())).toSorted()).toEqual([...livePaths].toSorted());
});

test("settings come by their paths or nested, in any case, and read as in the file", () => {
  const config = changedConfig(load(), {
    "defaults.max_ttl": "48h",
    Defaults: { TTL: "90s", max_sandboxes: 7, max_spawn_queue: 0 },
    rate_limit: { enabled: true, burst: "9" },
    logging: { level: "WARN" },
  });
  expect(liveValues(config)).toMatchObject({
    "defaults.max_ttl": "48h0m0s",
    "defaults.ttl": "1m30s",
    "defaults.max_sandboxes": 7,
    "defaults.max_spawn_queue": 100,
    "rate_limit.enabled": true,
    "rate_limit.burst": 9,
    "logging.level": "warn",
  });
  expect(changedConfig(load(), {})).toEqual(load());
});

const restart = "Change it in the configuration file, or the environment, and restart the server.";
test.each<[Record<string, unknown>, string, string]>([
  [{ "server.port": 1 }, "server.port can't change while the server runs", restart],
  [{ auth: { api_key: "hunter2" } }, "auth.api_key can't change while the server runs", restart],
  [
    { auth: { admin_api_key_file: "/etc/hunter2" } },
    "auth.admin_api_key_file can't change while the server runs",
    restart,
  ],
  [{ "auth.admin_fallback_enabled": true }, "auth.admin_fallback_enabled can't change while the server runs", restart],
  [{ providers: { mock: { enabled: true } } }, "providers.mock.enabled can't change while the server runs", restart],
  [{ defaults: { max_tll: "1h" } }, "defaults.max_tll is not a setting", "Did you mean defaults.max_ttl?"],
  [{ hunter: 2 }, "hunter is not a setting", "GET /api/v1/config lists what may change."],
  [{ defaults: 5 }, "defaults is not a setting", ""],
  [{ defaults: { ttl: "soon" } }, "defaults.ttl must be a valid duration", ""],
  [{ defaults: { ttl: "0s" } }, "defaults.ttl must be at least 1s", ""],
  [{ defaults: { ttl: null } }, "defaults.ttl must be a valid duration", ""],
  [{ defaults: { max_sandboxes: -1 } }, "defaults.max_sandboxes cannot be negative", ""],
  [{ defaults: { max_sandboxes: 2 ** 40 } }, "defaults.max_sandboxes must be between", ""],
  [{ defaults: { max_sandboxes: [1] } }, "defaults.max_sandboxes must be a whole number", ""],
  [{ defaults: { ttl: { hours: 1 } } }, "defaults.ttl must be", ""],
  [{ defaults: { spawn_overflow: "drop" } }, "defaults.spawn_overflow must be reject or queue", ""],
  [{ logging: { level: "loud" } }, "logging.level must be", ""],
  [{ "defaults.max_ttl": "1m" }, "defaults.ttl (30m0s) must not be above defaults.max_ttl (1m0s)", ""],
  [{ "defaults.vcpus": 2, defaults: { VCPUS: 3 } }, "defaults.vcpus is given twice", "Keep one."],
])("%j is refused, and named", (body, message, hint) => {
  const [problem, ...others] = problems(body);
  expect(others).toEqual([]);
  expect(problem?.message).toContain(message);
  expect(problem?.hint).toContain(hint);
  expect(JSON.stringify(problem)).not.toContain("hunter2");
});

test("nothing counts of a change that is wrong in part, and everything wrong is told", () => {
  const seen: unknown[] = [];
  const live = new LiveConfig(load(), (config) => seen.push(config));
  const before = live.current;
  const body = { "defaults.max_ttl": "48h", "defaults.vcpus": 0, "server.host": "::", nonsense: 1 };
  expect(() => live.change(body)).toThrow(ConfigError);
  expect(problems(body).map(({ path }) => path)).toEqual(["defaults.vcpus", "server.host", "nonsense"]);
  expect([live.current, live.changed, seen]).toEqual([before, [], []]);
});

test("a change tells what it changed, and what differs from the start is known", () => {
  const seen: number[] = [];
  const live = new LiveConfig(load(), (config) => seen.push(config.defaults.vcpus));
  const [change, ...others] = live.change({ "defaults.vcpus": 4, "defaults.memory_mb": 1024 });
  expect([change, others]).toEqual([{ path: "defaults.vcpus", before: 1, after: 4 }, []]);
  expect([live.changed, seen]).toEqual([["defaults.vcpus"], [4]]);
  expect(live.change({ "defaults.vcpus": 4 })).toEqual([]);
  live.change({ "defaults.vcpus": 1 });
  expect([live.changed, seen]).toEqual([[], [4, 1]]);
});

test("in production a change must be fit for it too", () => {
  const development = load({ "rate_limit.enabled": "true" });
  const config = { ...development, server: { ...development.server, mode: "production" as const } };
  expect(problems({ "rate_limit.enabled": false }, development)).toEqual([]);
  expect(problems({ "rate_limit.enabled": false }, config).map(({ path }) => path)).toContain("rate_limit.enabled");
  expect(problems({ "logging.level": "disabled" }, config).map(({ path }) => path)).toContain("logging.level");
});

test("whatever is sent is a change or problems, and never the prototype's", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.oneof(fc.string(), fc.constantFrom(...livePaths, "defaults", "constructor")), fc.jsonValue()),
      (body) => {
        for (const { message } of problems(body)) expect(message.length).toBeGreaterThan(0);
      },
    ),
  );
  const body = JSON.parse('{"__proto__": {"vcpus": 9}, "constructor": {"prototype": 1}}') as Record<string, unknown>;
  expect(problems(body).map(({ message }) => message)).toEqual([
    "__proto__ is not a setting",
    "constructor is not a setting",
  ]);
  expect(({} as { vcpus?: number }).vcpus).toBeUndefined();
});
