import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";
import { spawnSandbox, type TestSandbox } from "../e2e/api.ts";
import { startServer, type TestServer } from "../e2e/server.ts";

const buildTimeoutMs = 20 * 60_000;

/** Something to install, for pip and for npm, that asks no registry. */
const packages = `
mkdir -p "$HOME/greeting" "$HOME/node-greeting" && cd "$HOME/greeting"
cat > setup.py <<'PY'
from setuptools import Extension, setup
setup(name="greeting", version="1", py_modules=["greeting"], ext_modules=[Extension("_greeting", ["greeting.c"])],
      entry_points={"console_scripts": ["greet=greeting:main"]})
PY
cat > greeting.py <<'PY'
import _greeting
def main(): print("hello from", _greeting.origin())
PY
cat > greeting.c <<'C'
#include <Python.h>
static PyObject *origin(PyObject *self, PyObject *args) { return PyUnicode_FromString("C"); }
static PyMethodDef methods[] = {{"origin", origin, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_greeting", 0, -1, methods};
PyMODINIT_FUNC PyInit__greeting(void) { return PyModule_Create(&module); }
C
cd "$HOME/node-greeting"
echo '{"name":"node-greeting","version":"1.0.0","bin":{"node-greet":"greet.js"},"gypfile":true,"scripts":{"install":"node-gyp rebuild"}}' > package.json
printf '#!/usr/bin/env node\\nconsole.log("hello from", require("./build/Release/greeting.node").origin)\\n' > greet.js
echo '{"targets":[{"target_name":"greeting","sources":["greeting.c"]}]}' > binding.gyp
cat > greeting.c <<'C'
#include <node_api.h>
NAPI_MODULE_INIT() {
  napi_value origin;
  napi_create_string_utf8(env, "C", NAPI_AUTO_LENGTH, &origin);
  napi_set_named_property(env, exports, "origin", origin);
  return exports;
}
C
`;

describe.runIf(process.getuid?.() === 0)("an image for code", () => {
  let directory: string;
  let server: TestServer;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "stacyvm-code-"));
    const storeDir = join(directory, "images");
    const store = await createImageStore({ storeDir, clock: systemClock });
    const begun = performance.now();
    const built = await store.buildBase(
      "stacyvm/code",
      { variant: "code", environment: process.env },
      AbortSignal.timeout(buildTimeoutMs),
    );
    console.log(`built in ${Math.round((performance.now() - begun) / 1000)} s: ${built.sizeBytes / 1e6} MB`);
    // What a pull of an image like it takes, and room on the disk of whoever tries it first.
    expect(built.sizeBytes).toBeLessThan(700_000_000);
    server = await startServer({ config: { "images.store_dir": storeDir, "defaults.image": "stacyvm/code" } });
  }, buildTimeoutMs);

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const profiles = ["default", "restricted"] as const;
  const within = async (security: string, body: (run: (script: string) => Promise<string>) => Promise<void>) => {
    await using sandbox: TestSandbox = await spawnSandbox(server, {
      image: "stacyvm/code:latest",
      security,
      memory_mb: 1024,
    });
    await body(async (script) => {
      const { body } = await sandbox.exec({ command: `set -e; ${script}`, mode: "shell", timeout: "120s" });
      expect({ script, code: body.exit_code, err: body.exit_code === 0 ? "" : body.stderr + body.stdout }).toEqual({
        script,
        code: 0,
        err: "",
      });
      return body.stdout;
    });
  };

  test.each(profiles)("has what an agent tries first, as %s", async (security) => {
    await within(security, async (run) => {
      expect(await run("id -u")).toBe(security === "default" ? "0\n" : "1000\n");
      for (const program of [
        "python",
        "python3",
        "pip",
        "pip3",
        "node",
        "npm",
        "npx",
        "git",
        "curl",
        "wget",
        "cc",
        "c++",
      ])
        expect(await run(`${program} --version`), program).toMatch(/\d+\.\d+/);
      expect(await run("make --version; gcc --version; tar --version; jq --version; unzip -v")).toContain("GNU Make");
      expect(await run("node -p process.version")).toMatch(/^v24\./);
      expect(await run('touch "$HOME/mine" && stat -c %u "$HOME/mine" && pwd && touch mine')).toMatch(
        security === "default" ? /^0\n\/workspace/ : /^1000\n\/workspace/,
      );
    });
  });

  test.each(profiles)(
    "pip installs beside the system, for the user and into a virtual environment, as %s",
    async (security) => {
      await within(security, async (run) => {
        await run(packages);
        const install = "install --no-index --no-build-isolation";
        await run(`pip ${install} "$HOME/greeting"`);
        expect(await run("greet")).toBe("hello from C\n");
        expect(await run("python -c 'import greeting; print(greeting.__file__)'")).toMatch(
          security === "default" ? /^\/usr\/local\/lib\// : /^\/home\/user\/\.local\/lib\//,
        );
        await run("pip uninstall --yes greeting && ! python -c 'import greeting' 2>&-");
        await run(`pip ${install} --user "$HOME/greeting" && python -c 'import greeting; greeting.main()'`);
        await run("pip uninstall --yes greeting");
        await run(`python -m venv --system-site-packages env && env/bin/pip ${install} "$HOME/greeting"`);
        expect(await run("env/bin/greet")).toBe("hello from C\n");
        await run("! python -c 'import greeting' 2>&-");
        expect(await run("python -m venv plain && plain/bin/pip --version")).toContain("/workspace/plain/");
      });
    },
  );

  test.each(profiles)(
    "npm installs a global package with a part in C, and asks nobody for headers, as %s",
    async (security) => {
      await within(security, async (run) => {
        await run(packages);
        await run('npm install --global --offline --install-links "$HOME/node-greeting"');
        expect(await run("node-greet")).toBe("hello from C\n");
        expect(await run("command -v node-greet")).toBe(
          security === "default" ? "/usr/local/bin/node-greet\n" : "/home/user/.local/bin/node-greet\n",
        );
      });
    },
  );

  test("trusts what its distribution trusts, by the bundle and by hash links, and apt asks the distribution", async () => {
    await within("default", async (run) => {
      const roots = Number(await run("find /usr/share/ca-certificates -name '*.crt' | wc -l"));
      expect(roots).toBeGreaterThan(100);
      expect(Number(await run("grep -c BEGIN /etc/ssl/certs/ca-certificates.crt"))).toBe(roots);
      expect(await run("ls /usr/local/share/ca-certificates")).toBe("");
      expect(Number(await run("find -L /etc/ssl/certs -name '*.[0-9]' -type f | wc -l"))).toBeGreaterThanOrEqual(roots);
      expect(await run("cat /etc/apt/sources.list.d/*")).toMatch(
        /^URIs: http:\/\/(?:deb\.debian\.org|archive\.ubuntu\.com)\//m,
      );
      expect(await run("apt-config dump | grep -iE 'proxy|check-valid' || true")).toBe("");
      // An upgrade of Python brings the mark back into no sandbox.
      expect(await run("cat /etc/dpkg/dpkg.cfg.d/*")).toContain("EXTERNALLY-MANAGED");
      expect(await run("find / -xdev -name EXTERNALLY-MANAGED")).toBe("");
      for (const path of ["/etc/pip.conf", "/root/.npmrc", "/root/.config", "/usr/local/etc/npmrc", "/etc/gitconfig"])
        await run(`test ! -e ${path}`);
    });
  });
});
