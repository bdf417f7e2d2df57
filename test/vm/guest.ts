import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import pino from "pino";
import { startServer } from "../e2e/server.ts";

// Runs inside the virtual machine, as its only work: a server on oci, and what version 2 of cgroups alone has to hold.
// Prints `PROVED <what>` or `FAILED <what>: <why>` for each.

const controllers = "/sys/fs/cgroup";
const cgroupOf = (id: string): string => `${controllers}/stacyvm-${id}`;
const setting = (id: string, name: string): string => readFileSync(`${cgroupOf(id)}/${name}`, "utf8").trim();

const server = await startServer({
  // Few processes: an emulated processor takes minutes over more.
  config: { "providers.mock.enabled": "false", "providers.oci.pids_limit": "64" },
  log: pino({ level: "warn" }, pino.destination({ fd: 1, sync: true })),
});
const call = async (method: string, path: string, body?: object) => {
  const answer = await fetch(`${server.url}/api/v1${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  const text = await answer.text();
  if (!answer.ok && answer.status !== 408) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
};
const spawn = async (more: object = {}): Promise<string> =>
  (await call("POST", "/sandboxes", { image: "alpine:latest", provider: "oci", ttl: "30m", ...more })).id;
const exec = (id: string, command: string, more: object = {}) =>
  call("POST", `/sandboxes/${id}/exec`, { command, mode: "shell", timeout: "60s", ...more });
const expect = (what: unknown, ...wanted: readonly unknown[]): void => {
  if (!wanted.includes(what)) throw new Error(`${JSON.stringify(what)} instead of ${JSON.stringify(wanted)}`);
};
const prove = async (what: string, work: () => Promise<void>): Promise<void> => {
  const startedAt = performance.now();
  try {
    await work();
    console.log(`PROVED ${what} (${Math.round(performance.now() - startedAt)} ms)`);
  } catch (error) {
    console.log(`FAILED ${what}: ${error instanceof Error ? error.message : error}`);
  }
};

let id = "";
await prove("the hierarchy is version 2 alone, and the provider is healthy", async () => {
  const mounts = readFileSync("/proc/self/mounts", "utf8");
  expect(/ cgroup2 /.test(mounts) && !/ cgroup /.test(mounts), true);
  const [health] = await call("GET", "/providers");
  expect(health.error, undefined);
  expect(server.defaultProvider, "oci");
});
await prove("a sandbox is made and runs a command", async () => {
  id = await spawn({ memory_mb: 64, vcpus: 1 });
  const { exit_code, stdout } = await exec(id, "echo up; id -u");
  expect(`${exit_code} ${stdout}`, "0 up\n0\n");
});
await prove("its limits are in its cgroup", async () => {
  expect(setting(id, "memory.max"), String(64 * 1024 * 1024));
  expect(setting(id, "memory.swap.max"), "0");
  expect(setting(id, "cpu.max"), "100000 100000");
  expect(setting(id, "pids.max"), "64");
});
await prove("a command above the memory is killed, and its sandbox lives on", async () => {
  expect((await exec(id, "head -c 200000000 /dev/zero | tail -n 1 >/dev/null")).exit_code, 137);
  expect((await exec(id, "echo still here")).stdout, "still here\n");
});
await prove("it gets no more processor than was asked for", async () => {
  const used = () => Number(/usage_usec (\d+)/.exec(setting(id, "cpu.stat"))?.[1]);
  const [before, startedAt] = [used(), performance.now()];
  await exec(id, "while :; do :; done & while :; do :; done", { timeout: "5s" });
  const share = (used() - before) / 1000 / (performance.now() - startedAt);
  if (!(share > 0.05 && share < 1.15)) throw new Error(`a share of ${share}`);
});
await prove("a fork bomb stops at the limit of processes", async () => {
  await exec(id, "bomb() { bomb | bomb & }; bomb; sleep 3", { timeout: "30s" }).catch(() => {});
  if (!/^max [1-9]/m.test(setting(id, "pids.events"))) throw new Error(setting(id, "pids.events"));
  const answer = () => exec(id, "echo still here").then(({ stdout }) => stdout, String);
  const end = performance.now() + 60_000;
  while ((await answer()) !== "still here\n") {
    if (performance.now() > end) throw new Error("the agent does not answer any more");
  }
});
await prove("a deadline ends the whole tree", async () => {
  await exec(id, "setsid sleep 7777 & sleep 7777", { timeout: "2s" });
  expect((await exec(id, "ps -o args | grep -c '[s]leep 7777'")).stdout, "0\n");
});
await prove("its use is told", async () => {
  const stats = await call("GET", `/sandboxes/${id}/stats`);
  if (!JSON.stringify(stats).includes(String(64 * 1024 * 1024))) throw new Error(JSON.stringify(stats));
});
await prove("destroy leaves no cgroup, process, mount or loop device", async () => {
  expect(existsSync(cgroupOf(id)), true);
  await call("DELETE", `/sandboxes/${id}`);
  expect(existsSync(cgroupOf(id)), false);
  expect((await readdir(controllers)).filter((name) => name.startsWith("stacyvm-")).length, 0);
  expect(readFileSync("/proc/self/mounts", "utf8").includes(id), false);
  expect(execFileSync("losetup", ["--all"], { encoding: "utf8" }), "");
});
await server[Symbol.asyncDispose]();
