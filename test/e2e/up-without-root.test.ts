import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";
import { engineLacks, startEngine } from "../../packages/server/src/providers/docker/docker-engine.testing.ts";

const repository = resolve(import.meta.dirname, "../..");
/** An id that nobody has. */
const user = 61_235;
const isRoot = process.getuid?.() === 0;

/** What git knows of, and what setup and build have made, in a directory of the user's own. */
const cloneFor = (directory: string): void => {
  const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: repository,
    encoding: "utf8",
  });
  const known = files.split("\0").filter((file) => file !== "" && existsSync(join(repository, file)));
  const copy = (names: string) =>
    execFileSync(
      "cp",
      ["--archive", "--parents", "--reflink=auto", "--target-directory", directory, ...names.split("\0")],
      {
        cwd: repository,
      },
    );
  for (let at = 0; at < known.length; at += 500) copy(known.slice(at, at + 500).join("\0"));
  copy("build");
  symlinkSync(join(repository, "node_modules"), join(directory, "node_modules"));
  execFileSync("chown", ["--recursive", "--no-dereference", `${user}:${user}`, directory]);
};

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A user who has nothing but a home with a clone in it, and an image to begin with. */
const asUser = (body: (home: string, up: (env?: Readonly<Record<string, string>>) => Ran) => void): void => {
  const home = mkdtempSync(join(tmpdir(), "stacyvm-home-"));
  try {
    chmodSync(home, 0o755);
    lchownSync(home, user, user);
    const clone = join(home, "stacyvm");
    mkdirSync(clone);
    cloneFor(clone);
    const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Ran =>
      spawnSync(
        "setpriv",
        [`--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--no-new-privs", "--", process.execPath, ...args],
        {
          cwd: clone,
          encoding: "utf8",
          env: {
            HOME: home,
            PATH: `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
            ...env,
          },
        },
      );
    const root = join(home, "root");
    mkdirSync(join(root, "bin"), { recursive: true });
    execFileSync("cp", ["/bin/busybox", join(root, "bin/busybox")]);
    for (const applet of ["sh", "echo", "uname", "id", "tee", "true"])
      symlinkSync("busybox", join(root, "bin", applet));
    const tar = join(home, "alpine.tar");
    execFileSync("tar", ["--create", "--file", tar, "--directory", root, "."]);
    chmodSync(tar, 0o644);
    const imported = run(["packages/cli/bin/stacyvm.js", "image", "import", "alpine:latest", tar]);
    expect(imported.stderr + imported.stdout).toContain("sha256:");
    body(home, (env) => run(["scripts/up.js", "--once", "--port", "0"], env));
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
};

test("up runs a first sandbox for a user without privileges, below that user's home", ({ skip }) => {
  if (!isRoot) skip("becoming another user needs root");
  asUser((home, up) => {
    const { status, stdout, stderr } = up();
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toMatch(/oci can't be used here: .*not root; start the server as root/);
    expect(stdout).toMatch(/made a sandbox.*\(proot\)[\s\S]*hello from Linux, uid 0[\s\S]*destroyed it/);
    expect(stdout).toContain(`data in ${home}/.local/share/stacyvm`);
  });
});

test("up runs it on the Docker engine that the user may use, and needs nothing else", async ({ skip }) => {
  const lacks = engineLacks();
  if (lacks !== undefined) skip(lacks);
  await using stack = new AsyncDisposableStack();
  const engine = await startEngine();
  stack.defer(() => engine.close());
  chmodSync(engine.socket.replace("unix://", ""), 0o666);
  asUser((_home, up) => {
    const { status, stdout, stderr } = up({ DOCKER_HOST: engine.socket, STACYVM_PROVIDERS_PROOT_ENABLED: "false" });
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toMatch(/made a sandbox.*\(docker\)[\s\S]*hello from Linux, uid 1000[\s\S]*destroyed it/);
  });
  expect(await engine.client.listContainers({ all: true })).toEqual([]);
});
