import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import { bytes, contentOf, type ProviderSuite, sh, signal } from "./suite.testing.ts";

const longest = "n".repeat(255);

/** Names that some program along the way could take for something else. */
const names = [
  "plain",
  "a b",
  " both ends ",
  "-rf",
  "--help",
  "new\nline",
  "tab\t\r",
  "q'\"`",
  "p|pe;&<>",
  "back\\slash",
  "🙂",
  "e\u0301 and é",
  "\u202eright to left",
  "\u0001\u007f",
  "$(id)$IFS",
  "*?[a]{b,c}",
  "%2e%2e",
  "%2e%2e%2fetc%2fpasswd",
  "a%2fb",
  "%00",
  "100%",
  "+&=#",
  "...",
  "..name",
  "~",
  "C:",
  longest,
];

const read = async (guest: Guest, path: string): Promise<string> =>
  (await contentOf(await guest.readFile(path, {}, signal()))).toString();

/** Names of files. */
export const namesContract = (suite: ProviderSuite): void => {
  suite.each("takes any name as it is, through every operation", async ({ guest }) => {
    const [from, to] = ["/workspace/names", "/workspace/moved"];
    for (const [i, name] of names.entries()) {
      await guest.writeFile(`${from}/${name}`, bytes(`${i}`), { mode: 0o640 }, signal());
    }
    const paths = names.map((name) => `${from}/${name}`).sort();
    expect((await guest.list(from, signal())).map((entry) => entry.path).sort()).toEqual(paths);
    expect([...(await guest.glob(`${from}/*`, signal()))].sort()).toEqual(paths);
    await guest.writeFile(`${to}/.keep`, new Uint8Array(), {}, signal());
    for (const [i, name] of names.entries()) {
      const [path, moved] = [`${from}/${name}`, `${to}/${name}`];
      expect(await read(guest, path), name).toBe(`${i}`);
      expect(await guest.stat(path, signal())).toMatchObject({ path, type: "file", mode: 0o640 });
      await guest.chmod(path, 0o600, signal());
      await guest.move(path, moved, signal());
      expect((await sh(guest, 'cat -- "$NAME"', { cwd: to, env: { NAME: name } })).out, name).toBe(`${i}`);
      expect((await guest.stat(moved, signal())).mode).toBe(0o600);
      await guest.remove(moved, { recursive: false }, signal());
      await expect(guest.stat(moved, signal())).rejects.toMatchObject({ reason: "file_not_found" });
    }
    expect(await guest.list(from, signal())).toEqual([]);
    for (const path of [from, to]) await guest.remove(path, { recursive: true }, signal());
  });

  suite.each("refuses a name of a byte too many, and NUL, in every operation", async ({ guest }) => {
    await guest.writeFile("/workspace/bounds/stays", bytes("stays"), {}, signal());
    for (const name of [`${longest}n`, "a\0b", "stays\0"]) {
      const path = `/workspace/bounds/${name}`;
      const stays = "/workspace/bounds/stays";
      const attempts: readonly (() => Promise<unknown>)[] = [
        () => guest.writeFile(path, bytes("x"), {}, signal()),
        () => guest.readFile(path, {}, signal()),
        () => guest.stat(path, signal()),
        () => guest.list(path, signal()),
        () => guest.chmod(path, 0o600, signal()),
        () => guest.move(stays, path, signal()),
        () => guest.move(path, "/workspace/bounds/other", signal()),
        () => guest.remove(path, { recursive: true }, signal()),
      ];
      for (const [i, attempt] of attempts.entries()) {
        await expect(attempt(), `${i} ${name.length}`).rejects.toMatchObject({
          reason: expect.stringMatching(/^(invalid_input|not_a_file|not_a_directory|file_not_found)$/),
        });
      }
    }
    expect((await guest.list("/workspace/bounds", signal())).map((entry) => entry.path)).toEqual([
      "/workspace/bounds/stays",
    ]);
    expect(await read(guest, "/workspace/bounds/stays")).toBe("stays");
  });

  suite.each(
    "lists and finds the neighbours of a name that is no UTF-8, and can remove it with them",
    async ({ guest }) => {
      const made = await sh(
        guest,
        `mkdir -p raw && cd raw && echo a > a && echo z > z && for name in '\\377' 'm\\300\\257' '\\355\\240\\200'; do
         name=$(printf "$name"); echo bad > "$name"; mkdir "d$name"; echo in > "d$name/in"; done`,
      );
      expect(made).toMatchObject({ exitCode: 0, err: "" });
      const listed = await guest.list("/workspace/raw", signal());
      expect(listed).toHaveLength(8);
      expect(listed.filter((entry) => entry.path.includes("\ufffd"))).toHaveLength(6);
      expect(await guest.glob("/workspace/raw/?", signal())).toEqual(
        expect.arrayContaining(["/workspace/raw/a", "/workspace/raw/z"]),
      );
      expect(await guest.glob("/workspace/raw/**/in", signal())).toHaveLength(3);
      expect(await read(guest, "/workspace/raw/a")).toBe("a\n");
      expect(await read(guest, "/workspace/raw/z")).toBe("z\n");
      await guest.remove("/workspace/raw", { recursive: true }, signal());
      await expect(guest.stat("/workspace/raw", signal())).rejects.toMatchObject({ reason: "file_not_found" });
    },
  );

  suite.each("lists a directory whose entries lie deeper than any path can say", async ({ guest }) => {
    const depth = Math.floor((4095 - "/workspace/deep".length) / (longest.length + 1));
    const enter = `mkdir -p deep; cd deep; i=0; while [ $i -lt ${depth} ]; do mkdir -p "$N"; cd "$N"; i=$((i+1)); done`;
    await sh(guest, `${enter}; echo x > "$N"; echo y > short`, { env: { N: longest } });
    const deepest = `/workspace/deep/${Array(depth).fill(longest).join("/")}`;
    const listed = await guest.list(deepest, signal());
    expect(listed.map((entry) => entry.path)).toEqual([`${deepest}/${longest}`, `${deepest}/short`]);
    await guest.remove("/workspace/deep", { recursive: true }, signal());
  });
};
