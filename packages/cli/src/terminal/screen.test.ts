import fc from "fast-check";
import { expect, test } from "vitest";
import { createScreen } from "./screen.ts";

const bytes = (text: string) => Buffer.from(text, "latin1");
const text = (data: Uint8Array) => Buffer.from(data).toString("latin1");

/** What a terminal has after a replay in these pieces, and after the first live byte, which ends every hold. */
const replayed = (...pieces: readonly Uint8Array[]): string => {
  const screen = createScreen();
  return text(Buffer.concat([...pieces.map((piece) => screen.shown(piece, true)), screen.shown(bytes(""), false)]));
};

const queries = [
  "\x1b[6n",
  "\x1b[5n",
  "\x1b[?6n",
  "\x1b[?996n",
  "\x1b[c",
  "\x1b[0c",
  "\x1b[>c",
  "\x1b[>0c",
  "\x1b[=c",
  "\x1bZ",
  "\x05",
  "\x1b[>q",
  "\x1b[>0q",
  "\x1b[?2026$p",
  "\x1b[4$p",
  "\x1b[?u",
  "\x1b[14t",
  "\x1b[14;2t",
  "\x1b[18t",
  "\x1b[21t",
  "\x1b[?1;1;0S",
  "\x1b[x",
  "\x1b[1x",
  "\x1b[1;1;1;1;2;2*y",
  "\x1b[?4m",
  "\x1b[1$w",
  "\x1b[1$u",
  "\x1b[&u",
  "\x1b['|",
  "\x1b]10;?\x07",
  "\x1b]11;?\x1b\\",
  "\x1b]4;1;?;2;?\x07",
  "\x1b]52;c;?\x07",
  "\x1b]21;foreground=?\x1b\\",
  "\x1b]1337;ReportCellSize\x07",
  "\x1bP$qm\x1b\\",
  "\x1bP+q544e\x1b\\",
  "\x1b_Ga=q,i=31;AAAA\x1b\\",
  "\x1b_Gi=31,s=1,a=q;AAAA\x1b\\",
  "\x1bPtmux;\x1b\x1b[6n\x1b\\",
  "\x1bPtmux;\x1b\x1b]1337;ReportCellSize\x07\x1b\\",
  "\x9b6n",
  "\xc2\x9b6n",
  "\xc2\x9d10;?\xc2\x9c",
  "\x9d10;?\x9c",
  "\xc2\x9a",
  Buffer.from("\x1b]10;✜;?\x07").toString("latin1"),
  // Many terminals act on a string that is cut off.
  "\x1b]11;?\x18",
] as const;

test.each(queries)("a replay loses %j, however it is cut", (query) => {
  for (let at = 0; at <= query.length; at++) {
    expect(replayed(bytes(`a${query.slice(0, at)}`), bytes(`${query.slice(at)}b`))).toBe("ab");
  }
  expect(replayed(...[...`a${query}b`].map(bytes))).toBe("ab");
});

const others = [
  "plain text\r\n",
  "\x1b[1;31mred\x1b[0m",
  "\x1b[?1049h\x1b[?25l\x1b[2J\x1b[H",
  "\x1b[>4;2m",
  "\x1b[>1u\x1b[<u\x1b[=1u\x1b[u",
  "\x1b[2 q",
  "\x1b[22;0t\x1b[8;24;80t\x1b[1t",
  "\x1b[2*x\x1b[1;1;2;2$x",
  '\x1b[3S\x1b[!p\x1b[61"p',
  "\x1b[>2n",

  "\x1b]0;what is this; ?\x07",
  "\x1b]8;;http://x/?q\x1b\\link\x1b]8;;\x1b\\",
  "\x1b]10;#ffffff\x07",
  "\x1b]52;c;aGk=\x07",
  "\x1bPq#0;2;0;0;0~-\x1b\\",
  "\x1bPtmux;\x1b\x1b[1m\x1b\\",
  "\x1b_Ga=T,f=100;AAAA\x1b\\",
  "\x1b(B\x1b=\x1b>\x1b7\x1b8\x1bM",
  "[6n",
  "\x1b[6\x186n",
  Buffer.from("Û6n훛6n").toString("latin1"),
  Buffer.from("œuvre ✜ 😀 Ü").toString("latin1"),
  Buffer.from("\x1b]2;✜ Ü\x07").toString("latin1"),
  "\xff\xfe\xc0\xe2\x28\xa1",
] as const;

test.each(others)("a replay keeps %j, however it is cut", (other) => {
  for (let at = 0; at <= other.length; at++) {
    expect(replayed(bytes(other.slice(0, at)), bytes(other.slice(at)))).toBe(other);
    expect(replayed(bytes(other.slice(0, at)))).toBe(other.slice(0, at));
  }
});

test("controls inside a query are carried out, and an aborted string doesn't take what follows", () => {
  expect(replayed(bytes("a\x1b[6\r\nnb"))).toBe("a\r\nb");
  expect(replayed(bytes("a\x1b]11;?\x1b[1mb"))).toBe("a\x1b[1mb");
  expect(replayed(bytes("a\x1b[6\x1b[1mb"))).toBe("a\x1b[6\x1b[1mb");
  expect(replayed(bytes("a\x1b[\x1b[5n6nb"))).toBe("a\x1b[\x186nb");
  expect(replayed(bytes("a\x1b]11;\x1b[5n?\x07b"))).toBe("a\x1b]11;\x18?\x07b");
  expect(replayed(bytes("a\xc3\x1b[5n\x9bb"))).toBe("a\xc3\x18\x9bb");
  expect(replayed(bytes("a\x1b]11;\x05?\x07b"))).toBe("a\x1b]11;\x05?\x07b");
});

/** Pieces of which some are queries, whole or begun. */
const stream = fc
  .array(
    fc.oneof(
      fc.constantFrom<string>(...queries, ...others, "\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1bPtmux;", "\xc2", "\x9c"),
      fc.uint8Array({ maxLength: 5 }).map(text),
    ),
    { maxLength: 12 },
  )
  .map((pieces) => bytes(pieces.join("")));
const cuts = fc.array(fc.nat(200), { maxLength: 10 });

const cut = (data: Buffer, at: readonly number[]): Buffer[] => {
  const ends = [...new Set(at.filter((each) => each < data.length)), data.length].sort((a, b) => a - b);
  return ends.map((end, index) => data.subarray(ends[index - 1] ?? 0, end));
};

test("any cut of any bytes gives the same, and a second replay of that has nothing more to lose", () => {
  fc.assert(
    fc.property(stream, cuts, (data, at) => {
      const whole = replayed(data);
      expect(replayed(...cut(data, at))).toBe(whole);
      expect(replayed(bytes(whole))).toBe(whole);
    }),
    { numRuns: 2_000 },
  );
});

test("live bytes are untouched, at once", () => {
  fc.assert(
    fc.property(stream, cuts, (data, at) => {
      const screen = createScreen();
      for (const piece of cut(data, at)) expect(text(screen.shown(piece, false))).toBe(text(piece));
    }),
  );
});

test("bytes without a control are untouched by a replay", () => {
  const plain = fc.uint8Array().map((data) => data.filter((byte) => byte >= 0x20 && byte < 0x7f));
  fc.assert(
    fc.property(plain, (data) => {
      expect(replayed(data)).toBe(text(data));
    }),
  );
});

test("a sequence over the end of a replay is whole, and its end is live", () => {
  const screen = createScreen();
  const shown = [screen.shown(bytes("a\x1b[6"), true), screen.shown(bytes("nb"), false)].map(text);
  expect(shown).toEqual(["a", "\x1b[6nb"]);
});

test("of a query whose beginning was shown live the rest is lost, and the terminal is out of it", () => {
  const screen = createScreen();
  expect(text(screen.shown(bytes("a\x1b[6"), false))).toBe("a\x1b[6");
  expect(text(screen.shown(bytes("nb"), true))).toBe("\x18b");
  expect(text(screen.shown(bytes("\x1b[3"), false))).toBe("\x1b[3");
  expect(text(screen.shown(bytes("1mb"), true))).toBe("1mb");
});

test("words of our own between the halves of a sequence leave it whole", () => {
  const screen = createScreen();
  expect(screen.interrupt()).toBe("");
  screen.shown(bytes("\x1b[3"), false);
  expect(screen.interrupt()).toBe("\x18");
  expect(text(screen.shown(bytes("1mb"), true))).toBe("\x1b[31mb");
  screen.shown(bytes("\x1b[3"), false);
  screen.interrupt();
  expect(text(screen.shown(bytes("2mb"), false))).toBe("\x1b[32mb");
});

test("a sequence longer than any query goes through piece by piece", () => {
  const image = `\x1bPq${"~".repeat(200_000)}\x1b\\`;
  const screen = createScreen();
  expect(screen.shown(bytes(image.slice(0, 150_000)), true).length).toBe(150_000);
  expect(text(screen.shown(bytes(`${image.slice(150_000)}\x1b[6nb`), true))).toBe(`${image.slice(150_000)}b`);
});

test("it is known which screen the program has, over cuts, replays and gaps", () => {
  const screen = createScreen();
  screen.shown(bytes("\x1b[?25;10"), true);
  expect(screen.isAlternate()).toBe(false);
  screen.shown(bytes("49h"), true);
  expect(screen.isAlternate()).toBe(true);
  expect(screen.leave()).toContain("\x1b[?1049l");
  screen.shown(bytes("\x1b[?1049l"), false);
  expect(screen.isAlternate()).toBe(false);
  expect(screen.leave()).not.toContain("\x1b[?1049l");
  screen.shown(bytes("\x1b[?47h"), false);
  screen.reset();
  expect(screen.isAlternate()).toBe(false);
});
