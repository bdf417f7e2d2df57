import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Secret } from "../lib/secret.ts";
import { findSealer } from "./find-sealer.ts";
import { ensureKeyFile, readKeyFile } from "./key-file.ts";

const [one, two] = [new Secret("1".repeat(64)), new Secret("2".repeat(64))];
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stacyvm-key-"));
  path = join(folder, "secrets.key");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a key is made once, for its user alone, and read from then on", () => {
  expect(readKeyFile(path)).toBeUndefined();
  writeFileSync(`${path}.new`, "half of a key that a crash left");
  expect(ensureKeyFile(path, one).reveal()).toBe(one.reveal());
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, "utf8")).toBe(`${one.reveal()}\n`);
  expect(ensureKeyFile(path, two).reveal()).toBe(one.reveal());
  expect(readKeyFile(path)?.reveal()).toBe(one.reveal());
  expect(readdirSync(folder)).toEqual(["secrets.key"]);
});

test.each([0o640, 0o604, 0o660])("a key of mode %o, which others may read, is refused", (mode) => {
  ensureKeyFile(path, one);
  chmodSync(path, mode);
  expect(() => readKeyFile(path)).toThrow("isn't a file of the server's user alone");
  expect(() => ensureKeyFile(path, two)).toThrow("isn't a file of the server's user alone");
  expect(readFileSync(path, "utf8")).toBe(`${one.reveal()}\n`);
});

test("a link, a folder and a file that holds no key are refused, and nothing is put in their place", () => {
  writeFileSync(join(folder, "other"), one.reveal(), { mode: 0o600 });
  symlinkSync(join(folder, "other"), path);
  expect(() => ensureKeyFile(path, two)).toThrow("can't be read");
  rmSync(path);
  for (const text of ["", "short", `${one.reveal()}\n${one.reveal()}`]) {
    writeFileSync(path, text, { mode: 0o600 });
    expect(() => ensureKeyFile(path, two)).toThrow("doesn't hold 64 hexadecimal digits");
    expect(readFileSync(path, "utf8")).toBe(text);
  }
});

test("a key is made at first need only, and only beside the embedded database in development", () => {
  const settings = {
    secretsKey: undefined,
    previousSecretsKeys: [],
    mode: "development",
    embedded: true,
    dataDir: folder,
  } as const;
  expect(findSealer({ ...settings, embedded: false })).toBeUndefined();
  expect(findSealer({ ...settings, mode: "production" })).toBeUndefined();
  const sealer = findSealer(settings);
  expect(readdirSync(folder)).toEqual([]);
  const sealed = sealer?.seal(new Secret("hunter2"), "here") ?? "";
  expect(readdirSync(folder)).toEqual(["secrets.key"]);
  expect(findSealer(settings)?.open(sealed, "here").reveal()).toBe("hunter2");

  // Whoever configures a key later, in production too, still reads what the made one sealed.
  const configured = findSealer({ ...settings, mode: "production", secretsKey: two });
  expect(configured?.open(sealed, "here").reveal()).toBe("hunter2");
  expect(configured?.isCurrent(sealed)).toBe(false);
  expect(() => findSealer({ ...settings, secretsKey: two, embedded: false })?.open(sealed, "here")).toThrow(
    "another key",
  );
  chmodSync(path, 0o644);
  expect(() => findSealer(settings)).toThrow("isn't a file of the server's user alone");
});
