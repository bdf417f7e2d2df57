import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeAuthority, type TestAuthority } from "../../packages/server/src/config/certificates.testing.ts";
import { launcher, type Run, runProgram } from "./cli-process.ts";

let folder = "";
let authority: TestAuthority;
const config = () => join(folder, "stacyvm.yaml");

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stacyvm-production-"));
  authority = makeAuthority(folder);
  chmodSync(folder, 0o711);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const freePort = async (): Promise<number> => {
  await using server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
};

const secretFile = (name: string): string => {
  const path = join(folder, name);
  writeFileSync(path, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
  return path;
};

const settings = (port: number) => ({
  data_dir: join(folder, "data"),
  server: {
    mode: "production",
    host: "0.0.0.0",
    port,
    public_url: "https://vm.example",
    tls: (({ certFile, keyFile }) => ({ cert_file: certFile, key_file: keyFile }))(authority.issue("server")),
    cors_allowed_origins: ["https://vm.example"],
  },
  auth: {
    api_key_file: secretFile("api-key"),
    admin_api_key_file: secretFile("admin-key"),
    admin_fallback_enabled: false,
  },
  rate_limit: { enabled: true },
  defaults: { max_sandboxes: 10, max_sandboxes_per_owner: 5 },
});

const statusOf = (port: number, headers: Record<string, string>): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const ca = readFileSync(authority.caFile);
    https
      .get({ host: "127.0.0.1", port, path: "/api/v1/sandboxes", ca, headers, agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
      .once("error", reject);
  });

/** Runs a server to its end, which comes after the visit if it serves at all. */
const serve = (visit: () => Promise<void>): Promise<Run> => {
  let pid = 0;
  let visited = false;
  return runProgram(launcher, ["serve", "--config", config()], {
    onStart: (leader) => {
      pid = leader;
    },
    onOutput: (stdout) => {
      if (visited || !stdout.includes('"serving"')) return;
      visited = true;
      visit().finally(() => process.kill(-pid, "SIGTERM"));
    },
  });
};

test("a server that is fit for production starts, and asks for its key", async () => {
  const port = await freePort();
  const all = settings(port);
  writeFileSync(config(), JSON.stringify(all));
  let served: Promise<readonly unknown[]> | undefined;
  const run = await serve(async () => {
    const key = readFileSync(all.auth.api_key_file, "utf8").trim();
    served = Promise.all([statusOf(port, {}), statusOf(port, { "X-API-Key": key })]);
    await served;
  });
  expect(await served, run.stderr).toEqual([401, 200]);
  expect(run.status).toBe(0);
});

test("a server that isn't tells everything that is wrong, at once, and doctor does too", async () => {
  const all = settings(0);
  chmodSync(all.auth.api_key_file, 0o644);
  const bad = {
    ...all,
    server: { ...all.server, cors_allowed_origins: ["*"] },
    auth: { ...all.auth, admin_fallback_enabled: true },
    providers: { mock: { enabled: true } },
    rate_limit: { enabled: false },
  };
  writeFileSync(config(), JSON.stringify(bad));
  const { status, stderr } = await serve(async () => {});
  const said = [
    "auth.admin_fallback_enabled lets the API key open administration",
    "server.cors_allowed_origins allows every web page",
    "rate_limit is off",
    "providers.mock.enabled offers sandboxes without any wall",
    `chmod 600 ${all.auth.api_key_file}`,
  ];
  expect(status).toBe(1);
  expect(stderr).toContain("not fit for server.mode production, for 5 problem(s)");
  for (const text of said) expect(stderr).toContain(text);
  const doctor = await runProgram(launcher, ["--server", "http://127.0.0.1:9", "doctor", "--config", config()]);
  for (const text of said) expect(doctor.stdout).toContain(text);
  expect(doctor.status).toBe(1);
});
