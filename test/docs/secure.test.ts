import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launcher, runProgram } from "../e2e/cli-process.ts";
import { busyboxTar } from "../e2e/server.ts";
import { fencedBlocks } from "./fenced-blocks.ts";

const page = readFileSync(resolve(import.meta.dirname, "../../docs/secure.md"), "utf8");
let folder = "";
let port = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stacyvm-secure-"));
  // Sandboxes' users pass through it.
  chmodSync(folder, 0o711);
  mkdirSync(join(folder, "tmp"));
  port = await freePort();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject).listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });

/** A step's blocks of a shell, at places and a port of this test's own. */
const step = (heading: string): string => {
  const section = page.split(/^## /m).find((one) => one.startsWith(heading)) ?? "";
  const [text, ...more] = fencedBlocks(section, "sh");
  if (text === undefined || more.length > 0) throw new Error(`${heading} has not one block of sh`);
  return text
    .replaceAll("/tmp/", `${join(folder, "tmp")}/`)
    .replaceAll("/etc/stacyvm", join(folder, "etc"))
    .replaceAll("7443", String(port));
};

const environment = () => ({
  PATH: [resolve(launcher, ".."), process.env.PATH].join(delimiter),
  STACYVM_DATA_DIR: join(folder, "data"),
  NODE_EXTRA_CA_CERTS: join(folder, "etc/cert.pem"),
  STACYVM_SERVER: `https://localhost:${port}`,
  STACYVM_API_KEY: "",
});
const type = (text: string) => runProgram("bash", ["--norc", "-c", text], { cwd: folder, env: environment() });

/** What the second step starts, until its end. */
const serving = async (text: string) => {
  const [leader, ready] = [Promise.withResolvers<number>(), Promise.withResolvers<void>()];
  const running = runProgram("bash", ["--norc", "-c", `${text}wait`], {
    cwd: folder,
    env: environment(),
    onStart: leader.resolve,
    onOutput: (stdout) => stdout.includes('"serving"') && ready.resolve(),
  });
  const ended = running.then((ran) => Promise.reject(new Error(ran.stdout + ran.stderr)));
  await Promise.race([ready.promise, ended]);
  ended.catch(() => {});
  return {
    [Symbol.asyncDispose]: async () => {
      process.kill(-(await leader.promise), "SIGTERM");
      await running;
    },
  };
};

test("the tour of a secure server does what it says", async () => {
  expect(await type(step("1."))).toMatchObject({ status: 0 });
  const imported = await type(`stacyvm image import alpine:latest ${busyboxTar(folder)}`);
  expect(imported).toMatchObject({ status: 0, stderr: "" });
  await using _ = await serving(step("2."));
  const admin = "export STACYVM_API_KEY=$(cat etc/admin-api-key); ";
  // Its sandboxes would outlive the server.
  await using _ended = {
    [Symbol.asyncDispose]: async () => void (await type(`${admin}stacyvm tenant delete acme --cascade`)),
  };

  const holds = await type(`${step("3.")}echo ===; ${step("4.")}`);
  const [made = "", seen = ""] = holds.stdout.split("===\n");
  expect(made).toMatch(/^Tenant acme created\nTenant rival created\n/);
  expect(made.match(/ (rival|acme) +counts /g)).toHaveLength(3);
  expect(seen.split("\n")).toEqual([
    "this is Acme's",
    "No active sandboxes",
    expect.stringContaining('"reason":"unauthenticated"'),
    expect.stringMatching(/ \(ci\) revoked$/),
    "",
  ]);
  const refusals = ["required authorization scope missing", "sandbox not found", " was revoked"];
  expect(refusals.filter((words) => !holds.stderr.includes(words))).toEqual([]);

  const [member = ""] = page.match(/^stacyvm --tenant acme member add .*$/m) ?? [];
  expect(await type(admin + member)).toMatchObject({ status: 0, stdout: "ann is operator in acme\n" });
  const ended = await type(`${admin}stacyvm tenant delete acme --cascade; stacyvm tenant delete rival --cascade`);
  expect(ended).toMatchObject({ status: 0, stderr: "" });
  const last = await type(`rm ${join(folder, "tmp")}/*; stacyvm doctor --config etc/stacyvm.yaml --json`);
  const findings = (JSON.parse(last.stdout) as { findings: { area: string; status: string; what: string }[] }).findings;
  expect(findings.filter(({ area, status }) => area === "configuration" && status === "fail")).toEqual([]);
});
