import fc from "fast-check";
import { expect, test } from "vitest";
import { framingOf } from "./http-framing.ts";
import { parseHead } from "./http-head.ts";

const chunkedHead = { status: 200, headers: new Map([["transfer-encoding", "chunked"]]) };
const fault = expect.objectContaining({ reason: "guest_protocol" });

const cut = (bytes: Buffer, places: readonly number[]): Buffer[] => {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends
    .map((end, at) => Buffer.from(bytes.subarray(at === 0 ? 0 : ends[at - 1], end)))
    .filter((part) => part.length > 0);
};

test("the content of chunks is what was put in, wherever the bytes are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (contents, places) => {
        const framed = contents.flatMap((content) => [`${content.length.toString(16)}\r\n`, content, "\r\n"]);
        const bytes = Buffer.concat([...framed, "0\r\n\r\n"].map((each) => Buffer.from(each as string)));
        const framing = framingOf(chunkedHead, "GET");
        const read = cut(bytes, places).map((part) => {
          expect(framing.ended).toBe(false);
          return Buffer.from(framing.content(part));
        });
        expect(Buffer.concat(read)).toEqual(Buffer.concat(contents));
        expect(framing.ended).toBe(true);
      },
    ),
    { examples: [[[new Uint8Array([1])], []]] },
  );
});

test("what is no chunk, what stands behind the end, and what is longer than it said are the agent's fault", () => {
  for (const bytes of [
    "x\r\n",
    "\r\n",
    "-1\r\n",
    "1;a=b\r\nx\r\n",
    "1\nx\r\n",
    "123456789\r\n",
    "1\r\nxy",
    "0\r\na: b\r\n",
  ]) {
    expect(() => framingOf(chunkedHead, "GET").content(Buffer.from(bytes)), bytes).toThrow(fault);
  }
  expect(() => framingOf(chunkedHead, "GET").content(Buffer.from("0\r\n\r\nHTTP"))).toThrow(fault);
  const three = framingOf({ status: 200, headers: new Map([["content-length", "3"]]) }, "GET");
  expect(three.content(Buffer.from("ab")).toString()).toBe("ab");
  expect(() => three.content(Buffer.from("cd"))).toThrow(fault);
});

test("trailers come only where the head announced them, and no more than a few", () => {
  const announced = { status: 200, headers: new Map([...chunkedHead.headers, ["trailer", "X-A"]]) };
  const read = (text: string) => {
    const framing = framingOf(announced, "GET");
    expect(framing.content(Buffer.from(text)).toString()).toBe("");
    return framing;
  };
  const full = read("0\r\nX-A: 1\r\nx-b:  two \r\n\r\n");
  expect([...full.trailers, full.ended]).toEqual([["x-a", "1"], ["x-b", "two"], true]);
  expect(read("0\r\n\r\n").ended).toBe(true);
  expect(read("0\r\nX-A: 1\r\n").ended).toBe(false);
  for (const text of ["0\r\nX-A\r\n\r\n", "0\r\nX-A: 1\n\r\n", "0\r\n\r\r\n", "0\r\nX-A: 1\r\n\r\nHTTP"]) {
    expect(() => read(text), text).toThrow(fault);
  }
  const most = `0\r\nX-A:${"a".repeat(4090)}\r\n`;
  expect(read(most).ended).toBe(false);
  expect(() => read(most.replace("X-A:", "X-A:a"))).toThrow(fault);
});

test("any bytes at all are content or the agent's fault, never another failure", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-3a\r\n]{0,24}$/), (text) => {
      try {
        expect(framingOf(chunkedHead, "GET").content(Buffer.from(text)).length).toBeLessThanOrEqual(text.length);
      } catch (error) {
        expect(error).toMatchObject({ reason: "guest_protocol" });
      }
    }),
  );
});

test("a body is framed in one way: by chunks or by its length, and not at all where there is none", () => {
  const framed = (lines: string, method = "GET") => framingOf(parseHead(`HTTP/1.1 200 OK${lines}`), method);
  expect(framed("\r\nContent-Length: 0").ended).toBe(true);
  expect(framed("\r\nContent-Length: 1").ended).toBe(false);
  expect(framed("\r\ncontent-length: 5", "HEAD").ended).toBe(true);
  expect(framingOf(parseHead("HTTP/1.1 304 Not Modified"), "GET").ended).toBe(true);
  for (const lines of [
    "",
    "\r\nContent-Length: -1",
    "\r\nContent-Length: 1\r\nContent-Length: 1",
    "\r\nTransfer-Encoding: gzip, chunked",
    "\r\nTransfer-Encoding: chunked\r\nContent-Length: 1",
  ]) {
    expect(() => framed(lines), lines).toThrow(fault);
  }
});

test("a head is a status and fields, and anything else is the agent's fault", () => {
  const head = parseHead('HTTP/1.1 206 Partial Content\r\nETag: "a"\r\nX-Two: 1\r\nx-two:  2 ');
  expect(head.status).toBe(206);
  expect([...head.headers]).toEqual([
    ["etag", '"a"'],
    ["x-two", "1, 2"],
  ]);
  for (const text of [
    "",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 2000",
    "HTTP/1.1 200 OK\r\n folded: 1",
    "HTTP/1.1 200 OK\r\na : b",
    "HTTP/1.1 200 OK\r\nno colon",
    "HTTP/1.1 200 OK\r\na: b\nc: d",
  ]) {
    expect(() => parseHead(text), text).toThrow(fault);
  }
});
