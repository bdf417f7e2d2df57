import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonDepthMax } from "./bounds.ts";
import { compactJson, decodeJson } from "./json.ts";

const lenient = { lenient: true };
const strict = { lenient: false };

/** JSON values without the one key that is refused. */
const value = fc.jsonValue({ maxDepth: 6 }).filter((json) => !JSON.stringify(json).includes("__proto__"));

test("every JSON value comes back as it was, whatever follows it where that is ignored", () => {
  fc.assert(
    fc.property(value, fc.string(), (json, rest) => {
      const text = JSON.stringify(json);
      expect(decodeJson(text, strict)).toEqual(JSON.parse(text));
      expect(decodeJson(`\n ${text} ${rest}`, lenient)).toEqual(JSON.parse(text));
    }),
  );
});

test("any text is either decoded or refused as invalid_body, and never hangs", () => {
  const bits = fc.constantFrom("{", "}", "[", "]", '"', "\\", ":", ",", "a", "1", " ", "null", "\\u0022");
  fc.assert(
    fc.property(fc.array(bits, { maxLength: 40 }), (parts) => {
      for (const options of [lenient, strict]) {
        try {
          decodeJson(parts.join(""), options);
        } catch (error) {
          expect(error).toMatchObject({ reason: "invalid_body" });
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test("the bound of nesting is exact", () => {
  const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  expect(() => decodeJson(nested(jsonDepthMax), strict)).not.toThrow();
  expect(() => decodeJson(nested(jsonDepthMax + 1), lenient)).toThrow("invalid request body");
});

test.each(['{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"b":[{"a":1,"a":2}]}', "{} {}", "{}x"])(
  "%s is refused where decoding is strict",
  (text) => expect(() => decodeJson(text, strict)).toThrow("invalid request body"),
);

test("__proto__ is refused however it is spelt, as a value it is text", () => {
  expect(() => decodeJson('{"__proto__":{}}', lenient)).toThrow("invalid request body");
  expect(() => decodeJson('{"a":{"\\u005f_proto__":1}}', lenient)).toThrow("invalid request body");
  expect(decodeJson('{"a":"__proto__"}', strict)).toEqual({ a: "__proto__" });
});

test("written JSON can stand inside HTML and means the same", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (json) => {
      const text = compactJson(json);
      expect(text).not.toMatch(/[<>&\u2028\u2029\n]/);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(json)));
    }),
  );
});
