import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { Secret } from "../lib/secret.ts";

const run = promisify(execFile);

/** For tests: a PostgreSQL server of one's own, reachable through a unix socket alone. */
export interface PostgresServer extends AsyncDisposable {
  /** Makes an empty database and resolves to its connection string. */
  freshDatabase(): Promise<Secret>;
  /** Ends the server at once, as a crash would. */
  kill(): Promise<void>;
}

const versionsDirectory = "/usr/lib/postgresql";

const binaries = async (): Promise<string | undefined> => {
  const versions = existsSync(versionsDirectory)
    ? readdirSync(versionsDirectory).toSorted((a, b) => Number(b) - Number(a))
    : [];
  const candidates = versions.map((version) => join(versionsDirectory, version, "bin"));
  try {
    candidates.push((await run("pg_config", ["--bindir"])).stdout.trim());
  } catch {
    // Not installed, or without the development package: the directories above remain.
  }
  return candidates.find((directory) => existsSync(join(directory, "initdb")));
};

/** The server refuses to run as root. */
const unprivileged = async (): Promise<{ readonly uid: number; readonly gid: number } | undefined> => {
  if (process.getuid?.() !== 0) return undefined;
  for (const user of ["postgres", "nobody"]) {
    try {
      const ids = await Promise.all(["-u", "-g"].map(async (flag) => Number((await run("id", [flag, user])).stdout)));
      return { uid: ids[0] ?? 65_534, gid: ids[1] ?? 65_534 };
    } catch {
      // The next user.
    }
  }
  return undefined;
};

/** Why no server can be started here; undefined where one can. Throws instead where the environment forbids the skip. */
export const whyNoPostgres = async (): Promise<string | undefined> => {
  if ((await binaries()) !== undefined) return undefined;
  const reason = "PostgreSQL's programs are not installed (looked for initdb; try: apt-get install postgresql)";
  if ((process.env.STACYVM_MUST_NOT_SKIP ?? "").split(",").includes("postgres")) throw new Error(reason);
  return reason;
};

const answers = async (connection: pg.ClientConfig): Promise<boolean> => {
  const client = new pg.Client(connection);
  // A server that goes down while the connection is idle reports it here.
  client.on("error", () => {});
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
};

/** Starts one on a temporary directory; disposing removes it. */
export const startPostgres = async (): Promise<PostgresServer> => {
  const bin = await binaries();
  if (bin === undefined) throw new Error("no PostgreSQL here");
  const user = await unprivileged();
  // Short: a unix socket's path has about a hundred bytes.
  const directory = mkdtempSync(join(tmpdir(), "pg-"));
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  const data = join(directory, "data");
  const as = { ...user, cwd: directory, env: { PATH: process.env.PATH ?? "", LC_ALL: "C", TZ: "UTC" } };
  const options = ["-D", data, "-U", "stacyvm", "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
  try {
    // An order unlike that of bytes shows whether anything depends on the server's own.
    await run(join(bin, "initdb"), [...options, "--locale-provider=icu", "--icu-locale=en-US"], as);
  } catch {
    // Before version 15, or built without ICU.
    await run(join(bin, "initdb"), options, as);
  }
  const settings = ["listen_addresses=", `unix_socket_directories=${directory}`, "fsync=off", "max_connections=60"];
  const server = spawn(join(bin, "postgres"), ["-D", data, ...settings.flatMap((setting) => ["-c", setting])], {
    ...as,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const log: Buffer[] = [];
  server.stderr.on("data", (chunk: Buffer) => log.push(chunk));
  const ended = once(server, "exit");
  const connection = (database: string): pg.ClientConfig => ({ host: directory, user: "stacyvm", database });
  const tries = 200;
  for (let attempt = 1; !(await answers(connection("postgres"))); attempt++) {
    if (server.exitCode !== null || attempt === tries) {
      server.kill("SIGQUIT");
      throw new Error(`PostgreSQL did not start: ${Buffer.concat(log)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = async (): Promise<void> => {
    if (server.exitCode === null && server.signalCode === null) server.kill("SIGQUIT");
    await ended;
  };
  return {
    freshDatabase: async () => {
      const name = `t${randomBytes(6).toString("hex")}`;
      const client = new pg.Client(connection("postgres"));
      await client.connect();
      await client.query(`create database ${name}`);
      await client.end();
      return new Secret(`postgres:///${name}?host=${encodeURIComponent(directory)}&user=stacyvm`);
    },
    kill: stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
