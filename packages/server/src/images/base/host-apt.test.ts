import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { aptSourcesFor, parseDeb822, parseOneLine } from "./host-apt.ts";

test("the base takes the host's sources of its release, not those of others", async () => {
  const etc = await mkdtemp(join(tmpdir(), "apt-"));
  try {
    await mkdir(join(etc, "sources.list.d"));
    await writeFile(
      join(etc, "sources.list"),
      "# deb http://old.example/debian bookworm main\ndeb http://a.example/debian bookworm main contrib\n",
    );
    await writeFile(
      join(etc, "sources.list.d", "debian.sources"),
      "Types: deb\n# a comment\nURIs: http://b.example/security\nSuites: bookworm-security trixie\nComponents: main\nSigned-By: /usr/share/keyrings/k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://no.example\nSuites: bookworm\nComponents: main\n",
    );
    await writeFile(
      join(etc, "sources.list.d", "vendor.list"),
      "deb [arch=amd64 signed-by=/k.gpg] http://v.example/apt stable main\ndeb http://w.example/apt bookworm edge\n",
    );
    expect(await aptSourcesFor("bookworm", etc)).toBe(
      "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main contrib\n" +
        "\nTypes: deb\nURIs: http://b.example/security\nSuites: bookworm-security\nComponents: main\nSigned-By: /usr/share/keyrings/k.gpg\n",
    );
    expect(await aptSourcesFor("noble", etc)).toBe("");
  } finally {
    await rm(etc, { recursive: true });
  }
});

test("options of a one-line source are read, sources of code are not taken", () => {
  expect(parseOneLine("deb-src http://a b main\ndeb [signed-by=/k.gpg arch=amd64] http://a b main # note")).toEqual([
    { uris: ["http://a"], suites: ["b"], components: ["main"], signedBy: "/k.gpg" },
  ]);
});

test("a key written into the file is not mistaken for a path", () => {
  const [source] = parseDeb822(
    "Types: deb deb-src\nURIs: http://a\nSuites: b\nComponents: main\nSigned-By:\n -----BEGIN PGP-----\n .\n abc\n",
  );
  expect(source?.signedBy).toBeUndefined();
});
